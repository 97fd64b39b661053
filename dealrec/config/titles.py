"""Options of the vectors of titles that some selectors train a small recommender on."""

from pydantic import Field

from dealrec.config.effort import TokenOptions
from dealrec.config.finetune import Pooling


class TitlesConfig(TokenOptions):
    """The vectors of titles, which are made only for selectors that use them.

    They are those of the recommender ``encoder``.
    """

    max_tokens: int = Field(512, ge=16, le=32_768)
    """A longer title loses its end."""
    pooling: Pooling = Pooling.MEAN
    validation_users: int = Field(20_000, ge=2, le=100_000)
    """The largest number of validation users at whose choices a selection aims, spread evenly over all of
    them."""
    candidates: int = Field(16, ge=2, le=1000)
    """The number of titles (candidates) per validation user: the user's own choice and choices of other
    users."""
