"""Options of the summary of a data set's shape."""

from pydantic import Field

from dealrec.config.base import Config


class AuditConfig(Config):
    """How the shape of the data set is summarised."""

    popular: float = Field(0.1, gt=0, lt=1)
    """The share of items, the most popular first, whose share of all interactions is reported."""
