"""The HTTP service. Never imports torch or transformers."""
