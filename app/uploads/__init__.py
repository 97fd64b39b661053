"""Files sent in parts, so that a large upload survives a broken line."""
