"""Measures how well influence predicts the effect on the surrogate of leaving samples out."""
