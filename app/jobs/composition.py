"""What a job of each kind is made of: its stages, what these are told, and their keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dealrec.app.jobs.schemas import FinetuneJobConfig
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobKind, JobRow
from dealrec.config import (
    ComparisonConfig,
    EvaluationConfig,
    HeldOut,
    PruneConfig,
    Sampling,
    resolve_budget,
)
from dealrec.config.stage_keys import comparison_keys, finetune_keys, stage_key
from dealrec.config.stages import STAGES, StageName, StageSpec, compared_stages, planned_stages
from dealrec.errors import FieldError, InputError


@dataclass(frozen=True)
class Plan:
    """A job on a data set that is ready."""

    config: dict[str, Any]
    """The job's, resolved."""
    keys: Mapping[StageName, str]
    budget: int | None = None
    """Of the job's coreset, or the largest that is compared; ``None``: no selection is made."""
    measured: "Measured | None" = None
    """Whose effort is measured; ``None``: nobody's."""


@dataclass(frozen=True)
class Measured:
    """What decides into how many shards the effort of a job is split."""

    config: PruneConfig
    samples: int
    budget: int


def job_stages(job: JobRow) -> list[StageSpec]:
    """The stages of a new job, in order."""
    if job.kind == JobKind.COMPARISON:
        return compared_stages(ComparisonConfig.parse(job.config))
    config = stage_config(job)
    if job.kind == JobKind.FINETUNE:
        names = [StageName.FINETUNE, *([StageName.EVALUATE] if config.evaluation else [])]
        return [STAGES[name] for name in names]
    return planned_stages(config)


def stage_config(job: JobRow) -> PruneConfig:
    """What the job's stages are told; a ``finetune`` job has what follows the selection alone."""
    if job.kind == JobKind.FINETUNE:
        return FinetuneJobConfig.parse(job.config).of_stages()
    if job.kind == JobKind.COMPARISON:
        return ComparisonConfig.parse(job.config).config
    return PruneConfig.parse(job.config)


def plan(job: JobRow, dataset: DatasetRow) -> Plan:
    """Resolve what depends on the data.

    Raises :class:`InputError` (``no_samples``, ``budget_too_large``, ``no_validation_split``, …)
    where the job cannot run on them.
    """
    match JobKind(job.kind):
        case JobKind.FINETUNE:
            assert job.source_coreset_id is not None
            config = stage_config(job)
            _require_held_out(dataset.counts or {}, config.evaluation)
            return Plan(job.config, finetune_keys(job.source_coreset_id, config))
        case JobKind.COMPARISON:
            return plan_comparison(ComparisonConfig.parse(job.config), dataset)
        case JobKind.PRUNE | JobKind.SELECT:
            return plan_prune(PruneConfig.parse(job.config), job.budget_requested, dataset)


def plan_prune(config: PruneConfig, requested: float, dataset: DatasetRow) -> Plan:
    """A job that makes a coreset of ``requested`` samples; raises as :func:`plan`."""
    counts = dataset.counts or {}
    assert dataset.sha256 is not None
    _require_held_out(counts, config.evaluation)
    config = config.resolved(has_validation=has_validation(counts))
    samples = require_samples(dataset, config)
    budget = resolve_budget(requested, samples)
    keys = {
        spec.name: stage_key(spec.name, dataset_sha256=dataset.sha256, config=config, budget=budget)
        for spec in planned_stages(config)
    }
    resolved = config.model_dump(mode="json")
    return Plan(resolved, keys, budget, _measured(config, samples, budget))


def plan_comparison(comparison: ComparisonConfig, dataset: DatasetRow) -> Plan:
    """A job that compares selectors; raises as :func:`plan`."""
    counts = dataset.counts or {}
    assert dataset.sha256 is not None
    _require_held_out(counts, comparison.config.evaluation)
    comparison = comparison.resolved(has_validation=has_validation(counts))
    samples = require_samples(dataset, comparison.config)
    largest = max(comparison.resolved_budgets(samples))
    return Plan(
        comparison.model_dump(mode="json"),
        comparison_keys(comparison, dataset_sha256=dataset.sha256, budget=largest),
        largest,
        _measured(comparison.config, samples, largest),
    )


def _require_held_out(counts: Mapping[str, int], evaluation: EvaluationConfig | None) -> None:
    """Refuse at once what the stage would refuse after the training."""
    if evaluation is None:
        return
    auto = evaluation.split is HeldOut.AUTO
    splits = [HeldOut.VALID, HeldOut.TEST] if auto else [evaluation.split]
    if not any(counts.get(split.value) for split in splits):
        named = " or ".join(f"`{split.value}`" for split in splits)
        raise InputError(
            f"The data set has no {named} interactions: there is nobody to measure on. Leave the "
            "evaluation out, or use a split that makes some.",
            code="no_held_out_users",
            title="There is nobody to measure on",
            errors=[FieldError("config.evaluation.split", f"the data has no {named} split")],
        )


def require_samples(dataset: DatasetRow, config: PruneConfig) -> int:
    """How many samples the data set has; raises :class:`InputError` (``no_samples``) for none."""
    samples = count_samples(dataset.train_lengths or {}, config.sampling, config.min_history)
    if not samples:
        raise InputError(
            f"The data set has no sample with {config.min_history} items of history.",
            code="no_samples",
            title="There is nothing to choose from",
        )
    return samples


def count_samples(train_lengths: Mapping[str, int], sampling: Sampling, min_history: int) -> int:
    """Samples of a data set that has ``train_lengths[n]`` users with ``n`` training items."""
    lengths = ((int(length), users) for length, users in train_lengths.items())
    if sampling is Sampling.PER_USER:
        return sum(users for length, users in lengths if length > min_history)
    return sum(users * max(0, length - min_history) for length, users in lengths)


def has_validation(counts: Mapping[str, int]) -> bool:
    """Whether a risk can be measured on validation items; the first data sets did not count their users."""
    return bool(counts.get("valid_users", counts.get("valid")))


def _measured(config: PruneConfig, samples: int, budget: int) -> Measured | None:
    return None if config.effort is None else Measured(config, samples, budget)
