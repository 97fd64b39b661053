"""Gradients of the language model on every sample, as short vectors."""
