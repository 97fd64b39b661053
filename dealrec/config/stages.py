"""The stages of a job: what each needs, and the key under which its result can be reused."""

import hashlib
import json
from collections.abc import Set
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from dealrec.config.effort import TokenOptions
from dealrec.config.embedding import EmbeddingSource
from dealrec.config.language_models import language_model
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
    )
}


def planned_stages(config: PruneConfig) -> list[StageSpec]:
    """The stages of a ``prune`` job with this configuration, in order, without ``ingest``."""
    names = [StageName.SURROGATE, StageName.INFLUENCE]
    if config.effort is not None:
        names.append(StageName.EFFORT)
    names += extra_stages(selector_needs(config.selection))
    names.append(StageName.SELECT)
    if config.finetune is not None:
        names.append(StageName.FINETUNE)
    return [_planned(STAGES[name], config) for name in names]


def extra_stages(needs: Set[Need]) -> list[StageName]:
    """The stages beside influence and effort that make what is needed, in order."""
    return [name for name, made in EXTRA_STAGES.items() if made & needs]


def _planned(spec: StageSpec, config: PruneConfig) -> StageSpec:
    """What a stage needs under this configuration.

    With ``effort.candidates`` the pool is drawn over influence, so effort comes after it. Vectors of
    the language model need no surrogate.
    """
    if spec.name is StageName.EMBEDDING and not _of_surrogate(config):
        return replace(spec, needs=())
    if spec.name is StageName.EFFORT and config.effort and config.effort.candidates:
        return replace(spec, needs=(StageName.INFLUENCE,))
    return spec


def stage_key(name: StageName, *, dataset_sha256: str, config: PruneConfig, budget: int) -> str:
    """SHA-256 over all that goes into the stage's result.

    The data set's content, the parts of ``config`` that matter to it, the stage's version, and the
    keys of the stages it needs. ``config`` must be resolved.
    """
    spec = _planned(STAGES[name], config)
    planned = {stage.name for stage in planned_stages(config)}
    parts: dict[str, Any] = {
        "stage": name.value,
        "version": spec.version,
        "dataset": dataset_sha256,
        "config": _relevant(name, config, budget),
        "inputs": [
            stage_key(need, dataset_sha256=dataset_sha256, config=config, budget=budget)
            for need in spec.needs
            if need in planned
        ],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _relevant(name: StageName, config: PruneConfig, budget: int) -> dict[str, Any]:
    units = {"sampling": config.sampling, "min_history": config.min_history}
    match name:
        case StageName.INGEST:
            return {}
        case StageName.SURROGATE:
            return {"surrogate": config.surrogate.model_dump(mode="json")}
        case StageName.INFLUENCE:
            return {**units, "influence": config.influence.model_dump(mode="json")}
        case StageName.EFFORT:
            assert config.effort is not None
            read = config.effort.model_dump(mode="json", exclude={"shard_samples"})
            said = {**_said_to(config, config.effort), "pool": _pool(config, budget)}
            return {**units, **said, "effort": read}
        case StageName.DIFFICULTY:
            return units
        case StageName.EMBEDDING:
            return {**units, **_embedding(config)}
        case StageName.GRADIENTS:
            read = config.gradients.model_dump(mode="json")
            return {**units, **_said_to(config, config.gradients), "gradients": read}
        case StageName.SELECT:
            return {
                **units,
                "prompt": config.prompt.model_dump(mode="json"),
                "selection": config.selection.model_dump(mode="json"),
                "budget": budget,
            }
        case StageName.FINETUNE:
            assert config.finetune is not None
            return {
                "finetune": config.finetune.model_dump(mode="json"),
                "revision": _revision(config.finetune.model),
            }


def _said_to(config: PruneConfig, options: TokenOptions) -> dict[str, Any]:
    """How samples are put into words, and the language model's weights."""
    return {
        "prompt": config.prompt.model_dump(mode="json"),
        "revision": _revision(options.model),
    }


def _embedding(config: PruneConfig) -> dict[str, Any]:
    """Of the surrogate's vectors what is said of a language model does not matter."""
    if _of_surrogate(config):
        read = {"source", "validation_samples"}
        return {"embedding": config.embedding.model_dump(mode="json", include=read)}
    said = _said_to(config, config.embedding)
    return {**said, "embedding": config.embedding.model_dump(mode="json")}


def _of_surrogate(config: PruneConfig) -> bool:
    return config.embedding.source is EmbeddingSource.SURROGATE


def _pool(config: PruneConfig, budget: int) -> dict[str, Any] | None:
    """What the pool of candidates is drawn by; ``None`` where all samples are measured."""
    if config.effort is None or config.effort.candidates is None:
        return None
    read = {"strata", "stratum_edges", "normalisation", "seed"}
    return {"budget": budget, **config.selection.model_dump(mode="json", include=read)}


def _revision(model: str) -> str | None:
    entry = language_model(model)
    return entry.revision if entry else None
