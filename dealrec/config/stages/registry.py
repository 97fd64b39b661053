"""All stages, which of them a job has, and under which keys their results are kept."""

import hashlib
import json
from collections.abc import Iterator, Sequence, Set

from dealrec.config.comparison import ComparisonConfig
from dealrec.config.prune import PruneConfig
from dealrec.config.selectors import Need, selector_needs
from dealrec.config.stages.audit import AuditStage
from dealrec.config.stages.base import JobOptions, Phase, StageName, StageSpec
from dealrec.config.stages.compare import CompareStage
from dealrec.config.stages.difficulty import DifficultyStage
from dealrec.config.stages.effort import EffortStage
from dealrec.config.stages.embedding import EmbeddingStage
from dealrec.config.stages.evaluate import EvaluateStage
from dealrec.config.stages.finetune import FinetuneStage
from dealrec.config.stages.gradients import GradientsStage
from dealrec.config.stages.headroom import HeadroomStage
from dealrec.config.stages.ifd import IfdStage
from dealrec.config.stages.influence import InfluenceStage
from dealrec.config.stages.ingest import IngestStage
from dealrec.config.stages.select import SelectStage
from dealrec.config.stages.surrogate import SurrogateStage
from dealrec.config.stages.titles import TitlesStage

STAGES: dict[StageName, StageSpec] = {
    spec.name: spec
    for spec in (
        IngestStage(),
        AuditStage(),
        SurrogateStage(),
        HeadroomStage(),
        InfluenceStage(),
        EffortStage(),
        DifficultyStage(),
        EmbeddingStage(),
        GradientsStage(),
        IfdStage(),
        TitlesStage(),
        SelectStage(),
        FinetuneStage(),
        EvaluateStage(),
        CompareStage(),
    )
}
"""Every stage comes after the stages that it needs."""


def scoring_stages(config: PruneConfig, needs: Set[Need]) -> list[StageSpec]:
    """The stages that compute ``needs``, and the scores that every job keeps."""
    return _stages({Phase.SCORING}, config, needs)


def planned_stages(config: PruneConfig, *, has_ids: bool = True) -> list[StageSpec]:
    """The stages of a job that makes a coreset, and trains on it where ``config`` says so.

    ``has_ids`` is false for texts without ids, of which there is no surrogate.
    """
    phases = {Phase.SCORING, Phase.SELECTION, Phase.TRAINING}
    found = _stages(phases, config, selector_needs(config.selection))
    return [spec for spec in found if has_ids or not spec.of_ids]


def compared_stages(comparison: ComparisonConfig) -> list[StageSpec]:
    """The stages of a job that compares selectors; :mod:`~.plan` says which are made for every run."""
    found = _stages({Phase.SCORING, Phase.COMPARISON}, comparison.config, comparison.needs())
    asked = comparison.full_data_runs > 0
    return [spec for spec in found if asked or spec.name is not StageName.HEADROOM]


def needed_stages(config: PruneConfig, needs: Set[Need]) -> list[StageSpec]:
    """The stages without which ``needs`` cannot be computed, and no others."""
    made = set(makers(needs))
    names = made.union(*(stages_before(name, config, STAGES.keys()) for name in made))
    return [spec for name, spec in STAGES.items() if name in names]


def trained_stages(config: PruneConfig) -> list[StageSpec]:
    """The stages of a job that trains on a stored coreset."""
    return _stages({Phase.TRAINING}, config, frozenset())


def _stages(phases: Set[Phase], config: PruneConfig, needs: Set[Need]) -> list[StageSpec]:
    return [spec for spec in STAGES.values() if spec.phase in phases and spec.wanted(config, needs)]


def stage_needs(spec: StageSpec, config: PruneConfig) -> list[StageName]:
    """The stages whose results ``spec`` reads, where the job has them.

    Their keys enter its own key in this order.
    """
    scored = [name for name, other in STAGES.items() if other.makes] if spec.reads_scores else []
    return [*spec.needs(config), *scored]


def stage_keys(
    stages: Sequence[StageSpec], options: JobOptions, *, source: str
) -> dict[StageName, str]:
    """The key of each stage: a result is reused by every job that would make the same.

    A key is the SHA-256 over what goes into the result: ``source``, the stage's part of the options,
    its version, and the keys of the stages that it needs.

    Args:
        stages: Those of the job, in order.
        options: The job's, resolved.
        source: The data set's content hash, or the id of the stored coreset that is trained on.
    """
    keys = dict[StageName, str]()
    for spec in stages:
        parts = {
            "stage": spec.name.value,
            "version": spec.version,
            "dataset": source,
            "config": spec.key_options(options),
            "inputs": [keys[name] for name in stage_needs(spec, options.config) if name in keys],
        }
        keys[spec.name] = hashed(parts)
    return keys


def hashed(facts: object) -> str:
    """SHA-256 over JSON with sorted keys."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def stages_before(name: StageName, config: PruneConfig, among: Set[StageName]) -> set[StageName]:
    """The stages of ``among`` that ``name`` stands on, directly or through others."""
    found = set[StageName]()
    for need in stage_needs(STAGES[name], config):
        if need in among:
            found |= {need} | stages_before(need, config, among)
    return found


def makers(needs: Set[Need]) -> Iterator[StageName]:
    """The stages that make what selectors need, in order."""
    return (name for name, spec in STAGES.items() if spec.makes & needs)
