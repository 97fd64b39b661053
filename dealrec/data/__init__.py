"""From files of interactions to samples: readers, validation, splits, prompts; torch-free."""
