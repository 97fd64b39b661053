"""Sample embeddings: one vector per sample, from the surrogate or from the language model."""
