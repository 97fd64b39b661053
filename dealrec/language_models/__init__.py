"""Loads language models, and turns samples into their tokens and batches."""

from dealrec.language_models.loading import LoadedLanguageModel, load_language_model

__all__ = ["LoadedLanguageModel", "load_language_model"]
