"""Metrics in Prometheus' format: of this process's requests, and of all work, from the database."""
