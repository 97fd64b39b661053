"""Scores of samples: listed, handed out, drawn."""
