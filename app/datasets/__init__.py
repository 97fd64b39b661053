"""Data sets: uploads, validation, samples."""
