"""Selectors, which spend a budget on scored samples; those that use scores alone need only NumPy."""
