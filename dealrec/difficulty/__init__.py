"""How hard a sample is for the surrogate: the norms of its error and of its gradient."""
