"""The selectors by name. Listing them loads none of them."""

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from dealrec.config import SelectionMethod
from dealrec.selection.interface import Selector


@dataclass(frozen=True)
class SelectorEntry:
    """What a person must know to choose a selector."""

    method: SelectionMethod
    summary: str
    source: str
    implementation: str
    """``module:function``."""
    needs: tuple[str, ...]
    """The scores that it looks at."""
    parameters: tuple[str, ...]
    """The fields of :class:`~dealrec.config.SelectionConfig` that it reads."""

    def load(self) -> Selector:
        """Import the implementation."""
        module, _, name = self.implementation.partition(":")
        return cast("Selector", getattr(import_module(module), name))


SELECTORS: dict[SelectionMethod, SelectorEntry] = {
    entry.method: entry
    for entry in (
        SelectorEntry(
            SelectionMethod.DEALREC,
            "Random draws over strata of influence + λ · effort, the very top left out.",
            "Lin et al., SIGIR 2024, arXiv 2401.17197",
            "dealrec.selection.stratified:select_stratified",
            ("influence", "effort"),
            (
                "effort_weight",
                "strata",
                "stratum_edges",
                "normalisation",
                "hard_prune",
                "seed",
            ),
        ),
        SelectorEntry(
            SelectionMethod.RANDOM,
            "Uniform draws over all samples: the control.",
            "-",
            "dealrec.selection.uniform:select_uniform",
            (),
            ("seed",),
        ),
    )
}
