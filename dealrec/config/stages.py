"""The stages of a job, and what each needs."""

from collections.abc import Set
from dataclasses import dataclass, replace
from enum import StrEnum

from dealrec.config.comparison import ComparisonConfig
from dealrec.config.embedding import EmbeddingSource
from dealrec.config.prune import PruneConfig
from dealrec.config.selectors import Need, selector_needs


class StageName(StrEnum):
    """In the order in which people see them."""

    INGEST = "ingest"
    SURROGATE = "surrogate"
    INFLUENCE = "influence"
    EFFORT = "effort"
    DIFFICULTY = "difficulty"
    EMBEDDING = "embedding"
    GRADIENTS = "gradients"
    SELECT = "select"
    FINETUNE = "finetune"
    EVALUATE = "evaluate"
    COMPARE = "compare"


class StagePart(StrEnum):
    """A part of a stage that several workers share; the stage itself merges what they made."""

    PLAN = "plan"
    """Says what belongs to which shard."""
    SHARD = "shard"


@dataclass(frozen=True)
class StageSpec:
    """What the service must know about a stage to plan it."""

    name: StageName
    needs: tuple[StageName, ...]
    """Stages of the same job whose results go in (the data set always does)."""
    version: int
    """Raised whenever the stage's result changes for the same input."""
    gpu: bool
    """Whether it goes to the ``gpu`` queue."""


SCORE_STAGES = (StageName.INFLUENCE, StageName.EFFORT)
"""What every job keeps of its samples."""
EXTRA_STAGES: dict[StageName, frozenset[Need]] = {
    StageName.DIFFICULTY: frozenset({Need.EL2N, Need.GRAND}),
    StageName.EMBEDDING: frozenset({Need.EMBEDDING, Need.VALIDATION_EMBEDDING}),
    StageName.GRADIENTS: frozenset({Need.GRADIENTS, Need.VALIDATION_GRADIENTS}),
}
"""What is made only where the selector looks at any of it."""

STAGES: dict[StageName, StageSpec] = {
    spec.name: spec
    for spec in (
        StageSpec(StageName.INGEST, (), 1, gpu=False),
        StageSpec(StageName.SURROGATE, (), 2, gpu=True),
        StageSpec(StageName.INFLUENCE, (StageName.SURROGATE,), 3, gpu=True),
        StageSpec(StageName.EFFORT, (), 2, gpu=True),
        StageSpec(StageName.DIFFICULTY, (StageName.SURROGATE,), 1, gpu=True),
        StageSpec(StageName.EMBEDDING, (StageName.SURROGATE,), 1, gpu=True),
        StageSpec(StageName.GRADIENTS, (), 1, gpu=True),
        StageSpec(StageName.SELECT, (*SCORE_STAGES, *EXTRA_STAGES), 1, gpu=False),
        StageSpec(StageName.FINETUNE, (StageName.SELECT,), 1, gpu=True),
        StageSpec(StageName.EVALUATE, (StageName.FINETUNE,), 1, gpu=True),
        StageSpec(StageName.COMPARE, (*SCORE_STAGES, *EXTRA_STAGES), 1, gpu=True),
    )
}


def planned_stages(config: PruneConfig) -> list[StageSpec]:
    """The stages of a ``prune`` job with this configuration, in order, without ``ingest``."""
    names = [*_scoring(config, selector_needs(config.selection)), StageName.SELECT]
    if config.finetune is not None:
        names.append(StageName.FINETUNE)
    if config.evaluation is not None:
        names.append(StageName.EVALUATE)
    return [stage_spec(name, config) for name in names]


def compared_stages(comparison: ComparisonConfig) -> list[StageSpec]:
    """The stages of a ``comparison`` job, in order, without ``ingest``."""
    config = comparison.config
    names = [*_scoring(config, comparison.needs()), StageName.COMPARE]
    return [stage_spec(name, config) for name in names]


def _scoring(config: PruneConfig, needs: Set[Need]) -> list[StageName]:
    """The stages before the selection."""
    effort = [] if config.effort is None else [StageName.EFFORT]
    return [StageName.SURROGATE, StageName.INFLUENCE, *effort, *extra_stages(needs)]


def extra_stages(needs: Set[Need]) -> list[StageName]:
    """The stages beside influence and effort that make what is needed, in order."""
    return [name for name, made in EXTRA_STAGES.items() if made & needs]


def stage_spec(name: StageName, config: PruneConfig) -> StageSpec:
    """What a stage needs under this configuration.

    With ``effort.candidates`` the pool is drawn over influence, so effort comes after it. Vectors of
    the language model need no surrogate.
    """
    spec = STAGES[name]
    from_surrogate = config.embedding.source is EmbeddingSource.SURROGATE
    if name is StageName.EMBEDDING and not from_surrogate:
        return replace(spec, needs=())
    if name is StageName.EFFORT and config.effort and config.effort.candidates:
        return replace(spec, needs=(StageName.INFLUENCE,))
    return spec
