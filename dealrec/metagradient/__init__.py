"""Selection by differentiating through the training of a small recommender."""
