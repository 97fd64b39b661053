"""The options of a comparison as keywords, for the client and the command line."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from dealrec.config.prune import PruneConfig


class ComparisonOptions(TypedDict, total=False):
    """The fields of :class:`~dealrec.config.ComparisonConfig`, which explains them.

    What is left out, or is ``None``, has its default.
    """

    curve: Sequence[float]
    budgets: Sequence[float]
    selectors: Sequence[str | Mapping[str, Any]]
    seeds: int | None
    smallest_effect: float | None
    full_data_runs: int | None
    full_data_samples: float | None
    despite_no_headroom: bool | None
    scale: str | None
    config: PruneConfig | Mapping[str, Any] | None
