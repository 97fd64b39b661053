"""The difficulty of samples for the surrogate: the norms of its error and of its gradient."""
