"""Metrics of rankings and scores, and the statistics that compare them."""
