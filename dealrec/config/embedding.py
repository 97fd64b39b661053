"""Options of the vectors that some selectors use."""

from enum import StrEnum

from pydantic import Field

from dealrec.config.effort import GradientOptions, TokenOptions


class EmbeddingSource(StrEnum):
    """The model that gives the vector of a sample."""

    SURROGATE = "surrogate"
    """The surrogate's state after the sample's target. The first surrogate of an ensemble is used, since
    the spaces of different seeds cannot be combined."""
    LANGUAGE_MODEL = "language_model"
    """The mean of the language model's final hidden states over the sample's tokens, without the tokens
    that all samples begin with."""


class EmbeddingConfig(TokenOptions):
    """The embedding of samples, which is computed only for selectors that use it.

    The options of the language model apply to the source ``language_model`` only.
    """

    source: EmbeddingSource = EmbeddingSource.SURROGATE
    validation_samples: int = Field(1000, ge=1, le=100_000)
    """The largest number of validation samples with a vector, spread evenly over the users."""


class GradientsConfig(GradientOptions):
    """The projected gradients of samples, which are computed only for selectors that use them."""

    dimension: int = Field(512, ge=2, le=65_536)
    """The length of a projected gradient. A gradient that is no longer than this is kept as it is."""
    validation_samples: int = Field(1000, ge=1, le=100_000)
    """The largest number of validation samples with a gradient, spread evenly over the users."""
