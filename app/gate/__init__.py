"""Every request passes here before it reaches a route: limits, authentication, permissions."""
