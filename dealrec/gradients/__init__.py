"""Gradients of the language model's loss on every sample, projected to short vectors."""
