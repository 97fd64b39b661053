"""Webhooks tell addresses of a tenant about events of its jobs, signed as Standard Webhooks says."""
