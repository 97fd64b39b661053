"""Files that are sent in parts, so that a large upload survives a broken connection."""
