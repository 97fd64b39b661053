"""A language model as a stage uses it: how it is loaded, and what is held in memory beside it."""

from dataclasses import dataclass

from dealrec.config.effort import LossSpan
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.language_models import language_model
from dealrec.config.prompt import PromptConfig, PromptFormat

TOKENS_AT_ONCE, TOKENS_AT_ONCE_ON_CPU = 16_384, 2048
"""Padded tokens whose activations a training holds together; a step's batch is cut into such parts. On an
accelerator a pass of few tokens spends its time on starting kernels; few tokens suit a CPU's caches."""

_USUAL_TOKENS = 128
"""A sample of ten titles and the words around them. How long samples are is not known before the data are."""


@dataclass(frozen=True)
class ModelUse:
    """A language model that a stage loads."""

    model: str
    adapter: str | None = None
    """A PEFT folder that is loaded on top."""
    dtype: str = "float32"
    quantization: str = "none"
    modules: tuple[str, ...] = ()
    """The target modules of the LoRA that is trained."""
    projections: tuple[str, ...] = ()
    """The projections of the last layer that gradients are measured on."""
    max_tokens: int | None = None
    """The longest text that it is given."""
    tokens: int = 0
    """The tokens that are read together, for samples of usual length; 0 where that is not known."""
    rank: int = 0
    """The rank of the LoRA that is trained; 0 where none is."""
    all_logits: bool = False
    """Whether logits are made of all tokens, and not of those of answers alone."""
    checkpointed: bool = False
    """Whether the activations inside layers are computed twice instead of being held."""


def trained_model(config: FinetuneConfig) -> ModelUse:
    """The language model that a training loads, and how."""
    trains = config.lora.last_layers != 0
    each = min(config.max_tokens, _USUAL_TOKENS)
    at_once = min(config.batch_size * each, TOKENS_AT_ONCE_ON_CPU)
    return ModelUse(
        config.model,
        config.from_adapter,
        dtype=config.dtype,
        quantization=config.quantization,
        modules=config.lora.target_modules,
        max_tokens=config.max_tokens,
        tokens=at_once,
        rank=config.lora.rank if trains else 0,
        all_logits=config.loss_on is LossSpan.ALL,
        checkpointed=config.activation_checkpointing,
    )


def asks_for_chat(use: ModelUse, prompt: PromptConfig) -> bool:
    """Whether a model is asked to read samples in its chat template, which it may not have."""
    entry = language_model(use.model)
    by_entry = entry is not None and entry.prompt_format == "chat"
    return prompt.format is PromptFormat.CHAT or (prompt.format is PromptFormat.AUTO and by_entry)
