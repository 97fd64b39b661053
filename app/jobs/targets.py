"""Targets: the budget that reaches a share of what all samples give, by a comparison's curve."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from dealrec.app.jobs.repository import JobRepository
from dealrec.config import FinetuneConfig, PruneConfig
from dealrec.config.curve import (
    CurveOf,
    TargetUse,
    curve_differences,
    no_curve,
    require_curve_of,
    resolve_target,
)


class Budgeted(NamedTuple):
    """A budget, or a target in its place."""

    budget: int | float | None
    target: float | None = None


def find_target(
    session: Session, tenant_id: str, target: float, dataset_sha256: str, config: PruneConfig
) -> TargetUse:
    """Find the budget that reaches ``target`` on the tenant's newest curve for the data and the job.

    A curve holds for its data set, samples, prompt and training. A job that trains nothing takes any
    recommender and model, if the curves are of one alone.

    Raises:
        InputError: ``no_curve``.
    """
    untrained = config.model_copy(update={"finetune": None})
    of_samples = [
        one
        for one in JobRepository(session, tenant_id).curves()
        if not curve_differences(one.of, dataset_sha256, untrained)
    ]
    fitting = [one for one in of_samples if not curve_differences(one.of, dataset_sha256, config)]
    if not fitting:
        for one in of_samples:
            if _of_the_same(one.of, config.finetune):
                require_curve_of(
                    one, dataset_sha256, config
                )  # it names what the training has otherwise
        of_model = "" if config.finetune is None else f" with `{config.finetune.model}`"
        raise no_curve(
            f"No finished comparison has drawn a curve for this data set and prompt{of_model}, so it "
            "is not known how many samples the target needs. Draw one with `dealrec submit-comparison "
            "DATASET --curve 1%,2%,5%,10%,25%,50%` (`curve` in `POST /v1/comparisons`), or give a "
            "budget."
        )
    models = {(one.of.recommender, one.of.model) for one in fitting}
    if len(models) > 1:
        named = ", ".join(f"`{model}` as `{recommender}`" for recommender, model in sorted(models))
        raise no_curve(
            f"There are curves of several models: {named}. Set `finetune` to the one that the target "
            "is about, or give a budget."
        )
    return resolve_target(target, fitting[0])


def _of_the_same(of: CurveOf, training: FinetuneConfig | None) -> bool:
    """Whether a curve has the recommender and the model of a training."""
    return training is not None and (of.recommender, of.model) == (
        training.recommender,
        training.model,
    )
