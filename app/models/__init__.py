"""The catalogue of language models, as tenants see it."""
