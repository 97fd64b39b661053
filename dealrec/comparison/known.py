"""The facts about a language model that a report needs, kept between the stages of a comparison."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from dealrec.comparison.results import Model
from dealrec.recommenders.interface import Recommender

_FACTS, _TOKENS = "known.json", "text_tokens.npy"


class _Facts(BaseModel):
    model: Model
    trunk_seconds: float


@dataclass(frozen=True)
class Known:
    """A language model, and the lengths of the samples as it reads them."""

    model: Model
    trunk_seconds: float
    """The mean seconds per token in the frozen layers; 0 if their states are not kept."""
    text_tokens: npt.NDArray[np.int64]
    """[n] the number of tokens of each sample."""


def model_of(recommender: Recommender) -> Model:
    """Describe the language model of a recommender."""
    loaded = recommender.loaded
    return Model(
        name=loaded.name,
        revision=loaded.revision,
        trained_layers=recommender.trained_layers,
        layers=recommender.layers,
        device=loaded.device.type,
    )


def write_known(folder: Path, known: Known) -> None:
    """Write the facts into ``folder``."""
    facts = _Facts(model=known.model, trunk_seconds=known.trunk_seconds)
    (folder / _FACTS).write_text(facts.model_dump_json(), encoding="utf-8")
    np.save(folder / _TOKENS, known.text_tokens)


def read_known(folder: Path) -> Known:
    """Read the facts that :func:`write_known` wrote."""
    facts = _Facts.model_validate_json((folder / _FACTS).read_text(encoding="utf-8"))
    return Known(facts.model, facts.trunk_seconds, np.load(folder / _TOKENS, allow_pickle=False))
