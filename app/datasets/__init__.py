"""Data sets: their uploads, validation and samples."""
