"""Influence of each sample on a risk of the surrogate: gradients, curvature, solvers, scores."""
