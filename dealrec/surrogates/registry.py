"""Surrogates by name. Listing them imports none: each is named by its import string."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from dealrec.config import SurrogateConfig

if TYPE_CHECKING:
    from dealrec.surrogates.interface import Surrogate


@dataclass(frozen=True)
class SurrogateEntry:
    """What can be said of a surrogate without loading it."""

    name: str
    description: str
    source: str
    """Where the model comes from."""
    import_string: str
    """``module:class``; the class is made from ``(n_items, SurrogateConfig)``."""


SURROGATES: dict[str, SurrogateEntry] = {
    entry.name: entry
    for entry in (
        SurrogateEntry(
            name="sasrec",
            description="Self-attentive sequential recommender (causal transformer, post-LN)",
            source="Kang and McAuley, ICDM 2018, arXiv 1808.09781",
            import_string="dealrec.surrogates.sasrec:SASRec",
        ),
    )
}


def make_surrogate(n_items: int, config: SurrogateConfig) -> "Surrogate":
    """A freshly initialised model, from torch's global random state."""
    module, _, name = SURROGATES[config.model].import_string.partition(":")
    surrogate: Surrogate = getattr(import_module(module), name)(n_items, config)
    return surrogate
