"""Compares selectors by what language models learn from their coresets, with intervals."""
