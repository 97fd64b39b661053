"""The stages of a job: what each needs, and the key under which its result can be reused."""

import hashlib
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from dealrec.config.language_models import language_model
from dealrec.config.prune import PruneConfig


class StageName(StrEnum):
    """In the order in which people see them."""

    INGEST = "ingest"
    SURROGATE = "surrogate"
    INFLUENCE = "influence"
    EFFORT = "effort"
    SELECT = "select"
    FINETUNE = "finetune"


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


STAGES: dict[StageName, StageSpec] = {
    spec.name: spec
    for spec in (
        StageSpec(StageName.INGEST, (), 1, gpu=False),
        StageSpec(StageName.SURROGATE, (), 2, gpu=True),
        StageSpec(StageName.INFLUENCE, (StageName.SURROGATE,), 3, gpu=True),
        StageSpec(StageName.EFFORT, (), 2, gpu=True),
        StageSpec(StageName.SELECT, (StageName.INFLUENCE, StageName.EFFORT), 1, gpu=False),
        StageSpec(StageName.FINETUNE, (StageName.SELECT,), 1, gpu=True),
    )
}


def planned_stages(config: PruneConfig) -> list[StageSpec]:
    """The stages of a ``prune`` job with this configuration, in order, without ``ingest``."""
    names = [StageName.SURROGATE, StageName.INFLUENCE]
    if config.effort is not None:
        names.append(StageName.EFFORT)
    names.append(StageName.SELECT)
    if config.finetune is not None:
        names.append(StageName.FINETUNE)
    return [_planned(STAGES[name], config) for name in names]


def _planned(spec: StageSpec, config: PruneConfig) -> StageSpec:
    """With ``effort.candidates`` the pool is drawn over influence, so effort comes after it."""
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
            return {
                **units,
                "prompt": config.prompt.model_dump(mode="json"),
                "effort": config.effort.model_dump(mode="json", exclude={"shard_samples"}),
                "revision": _revision(config.effort.model),
                "pool": _pool(config, budget),
            }
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


def _pool(config: PruneConfig, budget: int) -> dict[str, Any] | None:
    """What the pool of candidates is drawn by; ``None`` where all samples are measured."""
    if config.effort is None or config.effort.candidates is None:
        return None
    read = {"strata", "stratum_edges", "normalisation", "seed"}
    return {"budget": budget, **config.selection.model_dump(mode="json", include=read)}


def _revision(model: str) -> str | None:
    entry = language_model(model)
    return entry.revision if entry else None
