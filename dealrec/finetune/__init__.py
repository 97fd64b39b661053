"""Fine-tuning of a language model on a coreset with LoRA."""
