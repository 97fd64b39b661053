"""Runs stages: claims them, starts a process for each, publishes what it made."""
