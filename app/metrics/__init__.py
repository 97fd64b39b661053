"""Prometheus metrics of this process's requests, and of all work in the database."""
