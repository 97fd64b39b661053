"""Estimates: work in units that a stage's time is in proportion to, times a rate learnt from the past."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy.orm import Session

from app.datasets.models import DatasetRow, DatasetState
from app.estimates.repository import Finished, finished_stages, made_keys
from app.estimates.schemas import Basis, Calibration, Estimate, StageEstimate
from app.jobs.models import SELECTING
from app.jobs.plans import count_samples, has_validation, require_samples
from app.jobs.schemas import BudgetUse, JobCreate
from app.jobs.service import require_known_models
from app.kit.errors import Conflict
from dealrec.config import EvaluationConfig, PruneConfig, resolve_budget
from dealrec.config.embedding import EmbeddingSource
from dealrec.config.stage_keys import stage_key
from dealrec.config.stages import StageName, planned_stages

START_SECONDS = 4.0
"""Of a stage's process before it works, and of its files' way; the rest is in proportion to the work."""

_REFERENCE = {
    StageName.SURROGATE: 1.2e-5,
    StageName.INFLUENCE: 6.5e-9,
    StageName.EFFORT: 0.1,
    StageName.DIFFICULTY: 6e-9,
    StageName.EMBEDDING: 0.1,
    StageName.GRADIENTS: 0.15,
    StageName.SELECT: 1e-4,
    StageName.FINETUNE: 0.5,
    StageName.EVALUATE: 0.1,
}
"""Seconds a unit of work on two cores without a GPU, rounded up; language models of 135M parameters."""


@dataclass(frozen=True)
class _Work:
    """What a stage has to do: its amount, and what must be alike where rates carry over."""

    units: float
    alike: tuple[Any, ...]


def estimate(session: Session, tenant_id: str, body: JobCreate, dataset: DatasetRow) -> Estimate:
    """What the job of ``body`` would cost on ``dataset``.

    Raises :class:`Conflict` (``dataset_not_ready``, ``dataset_rejected``) and what making the job
    would raise.
    """
    if dataset.state == DatasetState.REJECTED:
        raise Conflict("The data set was rejected; see its `error`.", code="dataset_rejected")
    if dataset.state != DatasetState.READY:
        raise Conflict(
            "The data set is still validated; ask again once it is ready.", code="dataset_not_ready"
        )
    require_known_models(body.config)
    counts: dict[str, int] = dataset.counts or {}
    config = body.config.resolved(has_validation=has_validation(counts))
    samples = require_samples(dataset, config)
    budget = resolve_budget(body.budget, samples)
    assert dataset.sha256 is not None
    keys = {
        spec.name: stage_key(spec.name, dataset_sha256=dataset.sha256, config=config, budget=budget)
        for spec in planned_stages(config)
    }
    made = made_keys(session, tenant_id, keys.values())
    past = finished_stages(session, tenant_id)
    stages = []
    for name, key in keys.items():
        work = _work(name, config, counts, samples, budget)
        stages.append(_stage(name, work, past, reused=key in made))
    return Estimate(
        dataset_id=dataset.id,
        budget=BudgetUse(requested=body.budget, samples=budget),
        seconds=round(sum(stage.seconds for stage in stages), 1),
        stages=stages,
    )


def _stage(name: StageName, work: _Work, past: list[Finished], *, reused: bool) -> StageEstimate:
    like = [
        (one, before.units)
        for one in past
        if one.name is name and (before := _work_of(one)) is not None and before.alike == work.alike
    ]
    rates = [max(one.seconds - START_SECONDS, 0.1 * one.seconds) / units for one, units in like]
    rate = median(rates) if rates else _REFERENCE[name]
    peaks = [one.peak_memory_bytes for one, _ in like if one.peak_memory_bytes is not None]
    return StageEstimate(
        name=name,
        seconds=0.0 if reused else round(START_SECONDS + rate * work.units, 1),
        peak_memory_bytes=max(peaks, default=None),
        reused=reused,
        calibrated_on=Calibration(
            basis=Basis.FINISHED if like else Basis.REFERENCE, stages=len(like)
        ),
    )


def _work_of(finished: Finished) -> _Work | None:
    """What a finished stage had to do; ``None`` where its job no longer says so."""
    job, dataset = finished.job, finished.dataset
    if job.kind not in SELECTING or job.budget_samples is None:
        return None
    config = PruneConfig.parse(job.config)
    samples = _samples(dataset, config)
    return _work(finished.name, config, dataset.counts or {}, samples, job.budget_samples)


def _samples(dataset: DatasetRow, config: PruneConfig) -> int:
    return count_samples(dataset.train_lengths or {}, config.sampling, config.min_history)


def _work(
    name: StageName, config: PruneConfig, counts: dict[str, int], samples: int, budget: int
) -> _Work:
    surrogate, items = config.surrogate, counts["items"]
    match name:
        case StageName.SURROGATE:
            units = surrogate.epochs * counts["train"] * surrogate.ensemble
            return _Work(units, (surrogate.model, surrogate.loss, surrogate.hidden_size))
        case StageName.INFLUENCE:
            influence = config.influence
            columns = min(influence.loss_items or items, items)
            curved = 3 * min(influence.curvature_tokens, samples)
            passes = samples + counts.get("valid", 0) + curved
            alike = (influence.parameters, influence.curvature, influence.solver)
            return _Work(passes * columns * surrogate.ensemble, (surrogate.model, *alike))
        case StageName.EFFORT:
            assert config.effort is not None
            pool = min((config.effort.candidates or samples) * budget, samples)
            return _Work(pool, (config.effort.model, config.effort.dtype))
        case StageName.DIFFICULTY:
            return _Work(samples * items * surrogate.ensemble, (surrogate.model,))
        case StageName.EMBEDDING:
            embedding = config.embedding
            written = embedding.source is EmbeddingSource.LANGUAGE_MODEL
            return _Work(samples, (embedding.source, embedding.model if written else None))
        case StageName.GRADIENTS:
            units = samples + counts.get("valid", 0)
            return _Work(units, (config.gradients.model, config.gradients.dtype))
        case StageName.SELECT:
            return _Work(samples, (config.selection.method,))
        case StageName.FINETUNE:
            assert config.finetune is not None
            return _Work(config.finetune.epochs * budget, (config.finetune.model,))
        case StageName.EVALUATE:
            assert config.finetune is not None
            return _asked(config.finetune.model, config.evaluation, counts["users"])
        case _:
            raise ValueError(f"{name} is no stage of such a job")


def _asked(model: str, evaluation: EvaluationConfig | None, users: int) -> _Work:
    """Texts that are read, with the adapter and without; a written title counts by its tokens."""
    assert evaluation is not None
    written = min(evaluation.ranking_users, users) * evaluation.beams * evaluation.max_title_tokens
    return _Work(4 * min(evaluation.users, users) + written / 4, (model,))
