"""Effort: the norm of the LLM's gradient on a sample, how hard it must work to learn it."""
