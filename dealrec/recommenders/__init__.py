"""LLM recommenders: trained on a coreset, measured on held-out users."""
