"""The key of each stage: under it a result is reused by every job that would make the same."""

import hashlib
import json
from typing import Any

from dealrec.config.comparison import ComparisonConfig
from dealrec.config.effort import TokenOptions
from dealrec.config.embedding import EmbeddingSource
from dealrec.config.language_models import language_model
from dealrec.config.prune import PruneConfig
from dealrec.config.stages import (
    STAGES,
    StageName,
    StageSpec,
    compared_stages,
    planned_stages,
    stage_spec,
)


def stage_key(name: StageName, *, dataset_sha256: str, config: PruneConfig, budget: int) -> str:
    """SHA-256 over all that goes into the stage's result.

    The data set's content, the parts of ``config`` that matter to it, the stage's version, and the
    keys of the stages it needs. ``config`` must be resolved.
    """
    spec = stage_spec(name, config)
    planned = {stage.name for stage in planned_stages(config)}
    inputs = [
        stage_key(need, dataset_sha256=dataset_sha256, config=config, budget=budget)
        for need in spec.needs
        if need in planned
    ]
    return _hashed(spec, dataset_sha256, _relevant(name, config, budget), inputs)


def comparison_keys(
    comparison: ComparisonConfig, *, dataset_sha256: str, budget: int
) -> dict[StageName, str]:
    """As :func:`stage_key`, of each stage of a comparison.

    The stages before the last are those of any job of the same configuration, and share their keys.
    ``comparison`` must be resolved; ``budget`` is its largest, over which ``effort.candidates`` are
    drawn.
    """
    config, keys = comparison.config, dict[StageName, str]()
    *scoring, last = compared_stages(comparison)
    for spec in scoring:
        keys[spec.name] = stage_key(
            spec.name, dataset_sha256=dataset_sha256, config=config, budget=budget
        )
    assert config.finetune is not None
    read = {
        "comparison": comparison.model_dump(mode="json"),
        "revision": _revision(config.finetune.model),
    }
    return {**keys, last.name: _hashed(last, dataset_sha256, read, list(keys.values()))}


def finetune_keys(coreset: str, config: PruneConfig) -> dict[StageName, str]:
    """As :func:`stage_key`, of the stages that train on a stored coreset, by its id."""
    keys = {StageName.FINETUNE: _hashed(STAGES[StageName.FINETUNE], coreset, _trained(config), [])}
    if config.evaluation is not None:
        keys[StageName.EVALUATE] = _hashed(
            STAGES[StageName.EVALUATE], coreset, _evaluated(config), list(keys.values())
        )
    return keys


def _hashed(spec: StageSpec, source: str, config: dict[str, Any], inputs: list[str]) -> str:
    parts = {
        "stage": spec.name.value,
        "version": spec.version,
        "dataset": source,
        "config": config,
        "inputs": inputs,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _relevant(name: StageName, config: PruneConfig, budget: int) -> dict[str, Any]:
    units = {"sampling": config.sampling, "min_history": config.min_history}
    match name:
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
            return _trained(config)
        case StageName.EVALUATE:
            return _evaluated(config)
        case _:
            raise ValueError(f"{name} is no stage of a prune job")


def _trained(config: PruneConfig) -> dict[str, Any]:
    assert config.finetune is not None
    return {
        "finetune": config.finetune.model_dump(mode="json"),
        "revision": _revision(config.finetune.model),
    }


def _evaluated(config: PruneConfig) -> dict[str, Any]:
    """How the users are asked is in the coreset, and so among the inputs."""
    assert config.evaluation is not None
    return {"evaluation": config.evaluation.model_dump(mode="json")}


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
