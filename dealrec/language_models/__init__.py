"""Language models by catalogue name, folder, GGUF file or hub id, and samples as their tokens."""

from dealrec.language_models.loading import LoadedLanguageModel, load_language_model

__all__ = ["LoadedLanguageModel", "load_language_model"]
