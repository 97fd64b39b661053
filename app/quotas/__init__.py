"""Quotas limit how much of this server a tenant may use."""
