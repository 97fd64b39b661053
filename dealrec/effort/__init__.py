"""Effort: the norm of the LLM's gradient on a sample, a measure of how hard the sample is to learn."""
