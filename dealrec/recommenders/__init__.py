"""LLM recommenders behind one interface: learning from samples, and measurement on held-out users."""
