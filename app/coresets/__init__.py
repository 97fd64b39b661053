"""Coresets: selections kept with their manifest."""
