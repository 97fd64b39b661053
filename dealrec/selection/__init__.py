"""Selectors: how a budget is spent on scored samples. Those of scores alone need only NumPy."""
