"""How well influence predicts what leaving samples out does to the surrogate: measured, not assumed."""
