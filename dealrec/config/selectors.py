"""The selectors by name: what each is, reads and needs. Listing them loads none of them."""

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any

from dealrec.config.selection import SelectionConfig, SelectionMethod


class Need(StrEnum):
    """Something about the samples that a selector looks at."""

    INFLUENCE = "influence"
    EFFORT = "effort"
    TARGETS = "targets"
    """The item that each sample's answer names; its popularity is the number of such samples."""
    EL2N = "el2n"
    GRAND = "grand"
    EMBEDDING = "embedding"
    """A vector of every sample: the surrogate's state or the language model's hidden state."""
    VALIDATION_EMBEDDING = "validation_embedding"
    """Those of validation samples."""
    GRADIENTS = "gradients"
    """Projected gradients of the language model on every sample."""
    VALIDATION_GRADIENTS = "validation_gradients"


KEPT_WITH_SCORES = frozenset({Need.INFLUENCE, Need.EFFORT, Need.TARGETS})
"""What every job keeps: selectors that need no more select again at once."""


@dataclass(frozen=True)
class SelectorEntry:
    """What a person must know to choose a selector."""

    method: SelectionMethod
    summary: str
    source: str
    implementation: str
    """``module:function``."""
    needs: tuple[Need, ...]
    """What it looks at."""
    parameters: tuple[str, ...]
    """The fields of :class:`~dealrec.config.SelectionConfig` that it reads."""

    def load(self) -> Any:
        """Import the implementation, a :class:`dealrec.selection.interface.Selector`."""
        module, _, name = self.implementation.partition(":")
        return getattr(import_module(module), name)


_DEALREC = "Lin et al., SIGIR 2024, arXiv 2401.17197"
_STRATA = ("effort_weight", "strata", "stratum_edges", "normalisation", "hard_prune", "seed")

SELECTORS: dict[SelectionMethod, SelectorEntry] = {
    entry.method: entry
    for entry in (
        SelectorEntry(
            SelectionMethod.DEALREC,
            "Random draws over strata of influence + λ · effort, the very top left out.",
            _DEALREC,
            "dealrec.selection.stratified:select_stratified",
            (Need.INFLUENCE, Need.EFFORT),
            _STRATA,
        ),
        SelectorEntry(
            SelectionMethod.DEALREC_PAPER,
            "The published algorithm: min-max scores, strata of equal width, nothing left out.",
            _DEALREC,
            "dealrec.selection.paper:select_as_published",
            (Need.INFLUENCE, Need.EFFORT),
            ("effort_weight", "strata", "seed"),
        ),
        SelectorEntry(
            SelectionMethod.RANDOM,
            "Uniform draws over all samples: the control.",
            "-",
            "dealrec.selection.uniform:select_uniform",
            (),
            ("seed",),
        ),
        SelectorEntry(
            SelectionMethod.STRATIFIED_RANDOM,
            "Draws in proportion over strata of the target's popularity: the stronger control.",
            "-",
            "dealrec.selection.popularity:select_by_popularity",
            (Need.TARGETS,),
            ("strata", "seed"),
        ),
        SelectorEntry(
            SelectionMethod.INFLUENCE,
            "The samples with the highest influence.",
            _DEALREC + " (its ablation)",
            "dealrec.selection.influence:select_by_influence",
            (Need.INFLUENCE,),
            ("seed",),
        ),
        SelectorEntry(
            SelectionMethod.EFFORT,
            "The samples with the highest effort.",
            _DEALREC + " (its ablation)",
            "dealrec.selection.effort:select_by_effort",
            (Need.EFFORT,),
            ("seed",),
        ),
        SelectorEntry(
            SelectionMethod.EL2N,
            "The samples on which the surrogate errs most.",
            "Paul et al., NeurIPS 2021, arXiv 2107.07075",
            "dealrec.selection.el2n:select_by_el2n",
            (Need.EL2N,),
            ("seed",),
        ),
        SelectorEntry(
            SelectionMethod.GRAND,
            "The samples with the largest gradient of the surrogate.",
            "Paul et al., NeurIPS 2021, arXiv 2107.07075",
            "dealrec.selection.grand:select_by_grand",
            (Need.GRAND,),
            ("seed",),
        ),
    )
}


def selector_needs(config: SelectionConfig) -> frozenset[Need]:
    """All that the chosen selector looks at; effort only where it has a weight."""
    entry = SELECTORS[config.method]
    needs = set(entry.needs)
    if "effort_weight" in entry.parameters and not config.effort_weight:
        needs.discard(Need.EFFORT)
    return frozenset(needs)
