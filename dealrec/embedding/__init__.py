"""Sample embeddings: a vector that stands for a sample."""
