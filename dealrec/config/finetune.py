"""Options of LoRA fine-tuning."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from dealrec.config.base import Config, Listed
from dealrec.config.effort import LossSpan
from dealrec.config.language_models import (
    DEFAULT_MODEL,
    adapted_modules,
    with_model_defaults,
)
from dealrec.config.model_entry import AUTO
from dealrec.config.recommenders import BIGREC, ENCODER, RECOMMENDERS, RecommenderEntry
from dealrec.errors import FieldError, InputError

ALL_LINEAR = "all-linear"
"""Target modules that are not names, beside ``auto``: all linear layers but the last."""


_LATER = (
    "gradient_accumulation",
    "quantization",
    "activation_checkpointing",
    "from_adapter",
    "validation",
)
_LATER_OF_LORA = ("rslora", "dora")
"""Options that earlier versions did not have: they enter keys only where they differ from their defaults."""


class LoraSettings(Config):
    """Options of the LoRA adapter."""

    rank: int = Field(8, ge=1, le=512)
    alpha: float = Field(16.0, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: Annotated[tuple[str, ...], Listed] = Field((AUTO,), min_length=1, max_length=32)
    """The layers that LoRA adapts, by name or by the end of their path. ``auto`` means the layers that the
    catalogue names for the model, or otherwise those that peft adapts in its family. ``all-linear`` means all
    linear layers except the output layer."""
    last_layers: int | None = Field(None, ge=0, le=1000)
    """The number of layers, counted from the last one, that are adapted. If not set, all layers are. 0 is for
    the recommender ``encoder`` only: the language model stays frozen, and only the projection is trained."""
    rslora: bool = False
    """Whether the update is scaled by α/√r instead of α/r (rsLoRA, arXiv 2312.03732)."""
    dora: bool = False
    """Whether the magnitude of each column of the weights is trained separately from its direction (DoRA,
    arXiv 2402.09353). A step takes longer."""

    @model_validator(mode="after")
    def _one_word_or_names(self) -> Self:
        for word in (AUTO, ALL_LINEAR):
            if word in self.target_modules and len(self.target_modules) > 1:
                raise ValueError(
                    f"`{word}` cannot be combined with other names in `target_modules`"
                )
        return self

    @property
    def named_modules(self) -> tuple[str, ...]:
        """The target modules that are names."""
        return () if self.target_modules in ((AUTO,), (ALL_LINEAR,)) else self.target_modules


class Pooling(StrEnum):
    """The vector that stands for a text, made from the states of its tokens."""

    LAST = "last"
    """The state of the last token."""
    MEAN = "mean"
    """The mean of the states of all tokens."""


class HistoryVector(StrEnum):
    """How the recommender ``encoder`` makes the vector of a history."""

    PROMPT = "prompt"
    """The language model reads the prompt."""
    TITLES = "titles"
    """The mean of the vectors of the titles in the history, with more weight on newer ones. The language
    model reads each title of the catalogue once, and no prompts."""


class EncoderSoftmax(StrEnum):
    """The titles among which the recommender ``encoder`` learns to pick the chosen one."""

    CATALOGUE = "catalogue"
    """All titles of the catalogue, or ``negatives`` titles drawn at random, with a correction that makes them
    represent all titles."""
    BATCH = "batch"
    """The answers of the batch. A title appears in batches as often as it is chosen, so its popularity
    cancels out, and what a history says about it remains."""


class EncoderSettings(Config):
    """Options of the recommender ``encoder``; no other reads them."""

    dimensions: int = Field(256, ge=1, le=65_536)
    """The length of the vectors of histories and titles, at most the hidden size of the language model."""
    pooling: Pooling = Pooling.MEAN
    history: HistoryVector = HistoryVector.PROMPT
    """How the vector of a history is made; ``titles`` needs a frozen model (``lora.last_layers`` 0)."""
    decay: float = Field(0.8, gt=0, le=1)
    """With ``history: titles``: the weight of each title relative to the one that was chosen after it."""
    softmax: EncoderSoftmax = EncoderSoftmax.CATALOGUE
    """The titles in the softmax of the loss. ``batch`` needs a frozen language model (``lora.last_layers``
    0)."""
    temperature: float = Field(0.2, gt=0, le=100)
    """The temperature, by which cosines are divided before the softmax."""
    learning_rate: float = Field(3e-4, gt=0, le=1)
    """The learning rate of the projection. The learning rate of LoRA is ``finetune.learning_rate``."""
    negatives: int | None = Field(None, ge=1, le=10_000_000)
    """The number of titles that are drawn for a softmax, with the logQ correction for sampling. If not set,
    the whole catalogue is used when no layer is adapted, and 256 titles otherwise."""


class Quantization(StrEnum):
    """The form in which the weights of the frozen language model are held in memory."""

    NONE = "none"
    """In the number type of the model."""
    NF4 = "nf4"
    """4 bits each, in blocks of 64 with scales that are quantized as well (QLoRA, arXiv 2305.14314)."""
    INT8 = "int8"
    """8 bits each (LLM.int8(), arXiv 2208.07339)."""


class Which(StrEnum):
    """The choice of held-out samples where there are more than are asked for."""

    SPREAD = "spread"
    """Spread evenly over the users of the validation split, in their order."""
    DRAWN = "drawn"
    """Drawn by the seed of the training."""


class ValidationSettings(Config):
    """The measurement of the loss on held-out samples while an adapter is trained."""

    samples: int = Field(0, ge=0, le=1_000_000)
    """The largest number of validation samples on which the loss is measured. Each is a user's first item of
    the validation split, after all of the user's earlier items. 0 measures nothing."""
    which: Which = Which.SPREAD
    every_steps: int | None = Field(None, ge=1, le=10_000_000)
    """The number of steps between two measurements. If not set, the loss is measured at the end of each
    epoch. It is always measured at the end of the training."""
    patience: int | None = Field(None, ge=1, le=100_000)
    """The training stops early after this many measurements in a row without a lower loss. If not set, all
    epochs are run."""
    keep_best: bool = True
    """Whether the adapter with the lowest validation loss is kept, rather than the last one."""

    @model_validator(mode="after")
    def _patience_needs_samples(self) -> Self:
        if self.patience is not None and not self.samples:
            raise ValueError("`patience` needs validation samples; set `samples` to their number")
        return self


class FinetuneConfig(Config):
    """Options of LoRA training on the coreset."""

    model: str = Field(DEFAULT_MODEL, min_length=1, max_length=200)
    recommender: str = Field(BIGREC, max_length=200)
    """How the language model recommends: ``bigrec`` (it writes the next title) or ``encoder`` (it compares
    vectors of histories and titles)."""
    epochs: int = Field(1, ge=1, le=1000)
    """The number of passes over the coreset."""
    learning_rate: float = Field(1e-4, gt=0, le=1)
    """The largest learning rate of the optimizer."""
    batch_size: int = Field(8, ge=1, le=4096)
    """The number of samples in a batch; an optimizer step has ``gradient_accumulation`` batches."""
    gradient_accumulation: int = Field(1, ge=1, le=4096)
    """The number of batches whose gradients are summed in an optimizer step. The loss of a step is the mean
    over the loss terms of all its samples."""
    warmup_fraction: float = Field(0.05, ge=0, lt=1)
    """The share of the steps over which the learning rate rises (warm-up). After that it falls linearly."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    max_gradient_norm: float = Field(1.0, gt=0)
    loss_on: LossSpan = LossSpan.ANSWER
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The number type of the frozen model; the adapter is in float32."""
    quantization: Quantization = Quantization.NONE
    """How the frozen model's weights are quantized. Anything but ``none`` needs the package `bitsandbytes`
    and is meant for GPUs; on CPUs it is slower than ``none``. The training and its evaluation use the same
    quantization; a merged model has unquantized weights."""
    activation_checkpointing: bool = False
    """Whether activations inside layers are recomputed instead of kept in memory (gradient checkpointing).
    This takes less memory and about a third more time."""
    from_adapter: str | None = Field(None, min_length=1, max_length=1000)
    """The adapter that the training continues from: on a server the id of an adapter, in the library and on
    the command line a PEFT folder. Rank, scaling and target modules are then taken from that adapter."""
    validation: ValidationSettings = ValidationSettings()
    max_tokens: int = Field(512, ge=16, le=32_768)
    checkpoint_steps: int = Field(50, ge=1)
    lora: LoraSettings = LoraSettings()
    encoder: EncoderSettings = EncoderSettings()
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="before")
    @classmethod
    def _of_catalogue(cls, data: Any) -> Any:
        return with_model_defaults(data, cls.model_fields)

    @field_validator("recommender")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in RECOMMENDERS:
            raise ValueError(
                f"there is no recommender `{name}`; the recommenders are {', '.join(RECOMMENDERS)}"
            )
        return name

    @model_validator(mode="after")
    def _something_is_trained(self) -> Self:
        if self.lora.last_layers == 0 and self.recommender != ENCODER:
            raise ValueError(
                f"with `lora.last_layers` 0 the recommender `{self.recommender}` would train nothing"
            )
        for name, value in (("history", HistoryVector.TITLES), ("softmax", EncoderSoftmax.BATCH)):
            asked = self.recommender == ENCODER and getattr(self.encoder, name) is value
            if asked and self.lora.last_layers != 0:
                raise ValueError(
                    f"`encoder.{name}: {value}` needs a frozen language model: set `lora.last_layers` to 0"
                )
        return self

    @model_validator(mode="after")
    def _dora_on_weights_that_it_can_read(self) -> Self:
        if self.lora.dora and self.quantization is Quantization.INT8:
            raise ValueError("`lora.dora` cannot be trained on `int8` weights; use `nf4` or `none`")
        return self

    @property
    def entry(self) -> RecommenderEntry:
        """The description of the recommender."""
        return RECOMMENDERS[self.recommender]

    def identity(self) -> dict[str, Any]:
        """The options that the recommender reads, as JSON: a part of keys.

        ``recommender`` is left out for ``bigrec``, so that keys from the time when it was the only
        recommender stay as they were, and so are later options where they have their defaults. ``auto`` is
        written out where the catalogue says what it stands for.
        """
        own = {name for entry in RECOMMENDERS.values() for name in entry.parameters}
        unread = own - {*self.entry.parameters}
        if self.recommender == BIGREC:
            unread.add("recommender")
        options = self.record()
        for name in unread:
            del options[name]
        adapted = adapted_modules(self.model, self.lora.target_modules)
        options["lora"]["target_modules"] = list(adapted)
        return options

    def record(self) -> dict[str, Any]:
        """All options as JSON, without those of :data:`_LATER` that have their defaults."""
        fields, lora = FinetuneConfig.model_fields, LoraSettings.model_fields
        later = {name for name in _LATER if getattr(self, name) == fields[name].default}
        of_lora = {n for n in _LATER_OF_LORA if getattr(self.lora, n) == lora[n].default}
        own = {*FinetuneConfig.model_fields} - later
        return self.model_dump(mode="json", include=own, exclude={"lora": of_lora})


def no_validation_split() -> InputError:
    """Return the error for a training that is to measure held-out samples and has none."""
    return InputError(
        "`finetune.validation.samples` asks for the loss on validation samples, but there are none. "
        "Use data with a validation split (in the library and on the command line, give the data from "
        "which the coreset was selected), or leave the option out.",
        code="no_validation_split",
        title="There are no validation samples",
        errors=[
            FieldError("config.finetune.validation.samples", "the data has no validation samples")
        ],
    )
