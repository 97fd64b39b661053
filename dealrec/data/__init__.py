"""Interactions in, samples out: readers, validation, splits, prompts. Nothing here imports torch."""
