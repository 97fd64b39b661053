"""Options of the vectors that some selectors look at."""

from enum import StrEnum

from pydantic import Field

from dealrec.config.effort import GradientOptions, TokenOptions


class EmbeddingSource(StrEnum):
    """Whose vector stands for a sample."""

    SURROGATE = "surrogate"
    """The surrogate's state after the sample's last item, its target. Of an ensemble the first one's:
    spaces of different seeds have nothing to do with each other."""
    LANGUAGE_MODEL = "language_model"
    """The mean of the language model's final hidden states over the sample's tokens, without those
    that all samples begin with."""


class EmbeddingConfig(TokenOptions):
    """How a sample becomes a vector; made only for selectors that look at one.

    What is said of the language model is read for the source ``language_model`` alone.
    """

    source: EmbeddingSource = EmbeddingSource.SURROGATE
    validation_samples: int = Field(1000, ge=1, le=100_000)
    """At most so many validation samples get a vector as well, spread evenly over the users."""


class GradientsConfig(GradientOptions):
    """How a sample's gradient becomes a short vector; made only for selectors that look at one."""

    dimension: int = Field(512, ge=2, le=65_536)
    """Numbers of a projected gradient; one that has no more numbers is kept as it is."""
    validation_samples: int = Field(1000, ge=1, le=100_000)
    """At most so many validation samples get a gradient as well, spread evenly over the users."""
