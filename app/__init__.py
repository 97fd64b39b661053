"""The HTTP service. It never imports torch or transformers."""
