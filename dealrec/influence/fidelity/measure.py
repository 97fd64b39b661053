"""Measures fidelity in both ways on the user's own data, and reports it in plain sentences."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dealrec.config import (
    Curvature,
    InfluenceConfig,
    InfluenceParameters,
    PruneConfig,
    Risk,
    Solver,
)
from dealrec.config.surrogate import SURROGATES
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.errors import FieldError, InputError
from dealrec.influence.fidelity.datamodeling import (
    COUNT,
    DatamodelingScores,
    FidelityScale,
    datamodeling_scores,
)
from dealrec.influence.fidelity.halves import small_problem
from dealrec.influence.fidelity.leave_one_out import Agreement, leave_one_out
from dealrec.influence.fidelity.predictors import Predictor
from dealrec.progress import SILENT, Reporter
from dealrec.surrogates.training import train_surrogate

CONFIGURED, PUBLISHED = "this configuration", "published LiSSA"
_PAPER_DAMPING = 0.25
"""The effective damping of the published recursion, its ``damp × scale``, far above the eigenvalues."""
_CURVATURE_TOKENS = 1024
"""The curvature tokens of every row but the configuration's own, because each half costs a solve."""


@dataclass(frozen=True)
class FidelityReport:
    """The results of both measures."""

    leave_one_out: Agreement | None
    """The Spearman correlations of scores with retraining; ``None`` if retraining was not possible."""
    leave_one_out_note: str
    """The size of the retraining problem, or the reason why it was not possible."""
    datamodeling: DatamodelingScores
    config: PruneConfig

    def verdicts(self) -> list[str]:
        """State the outcome of each comparison in a sentence."""
        sentences = []
        for kind, differences in self.datamodeling.differences.items():
            for name, interval in differences.items():
                other = name.split(" − ")[1]
                if interval.low > 0:
                    said = "predicts better than"
                elif interval.high < 0:
                    said = "predicts worse than"
                else:
                    said = "does not predict measurably better or worse than"
                sentences.append(f"{kind} queries: {CONFIGURED} {said} {other}, by {interval}.")
        return sentences

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        found = self.leave_one_out
        loo = "not measured" if found is None else "Spearman"
        lines = [f"Leave-one-out retraining ({self.leave_one_out_note}): {loo}"]
        if found is not None:
            lines.append(f"  {'the scores that select samples':<36} {found.used}")
            lines.append(f"  {'scores at the minimum':<36} {found.at_minimum}")
        for kind, scores in self.datamodeling.scores.items():
            lines.append(f"Linear datamodeling score, {kind} queries:")
            ordered = sorted(scores.items(), key=lambda row: -row[1].mean)
            lines += [f"  {name:<36} {interval}" for name, interval in ordered]
        return lines + self.verdicts()

    def to_json(self) -> dict[str, Any]:
        return {
            "leave_one_out": None if self.leave_one_out is None else asdict(self.leave_one_out),
            "leave_one_out_note": self.leave_one_out_note,
            **self.datamodeling.to_json(),
            "verdicts": self.verdicts(),
            "config": self.config.model_dump(mode="json"),
        }


def measure_fidelity(
    dataset: Dataset,
    config: PruneConfig,
    folder: Path,
    *,
    scale: FidelityScale | None = None,
    table: bool = False,
    left_out: int = 30,
    small_users: int = 150,
    reporter: Reporter = SILENT,
) -> FidelityReport:
    """Measure leave-one-out on ``small_users`` users, and the linear datamodeling score on all users.

    Args:
        dataset: The user's data.
        config: The configuration whose influence scores are examined.
        folder: The folder for finished trainings; the same call uses them again.
        scale: The number of trainings and queries. Predictors through parameters that the surrogate does
            not have, such as the published one for ``lightgcn``, are left out.
        table: Whether to score every parameter set and curvature beside the configured one.
        left_out: The number of samples left out one at a time.
        small_users: The number of users of the leave-one-out problem.
        reporter: Receives the progress.

    Raises:
        InputError: ``too_small``, ``risk_not_checked`` for scores that are not about the likelihood, and
            the errors of scoring.
        Cancelled: ``reporter`` cancelled the run.
    """
    if config.influence.risk is not Risk.LIKELIHOOD:
        raise InputError(
            "Fidelity is measured by the likelihood of held-out items after retraining, but "
            f"influence.risk is `{config.influence.risk}`. Set `influence.risk: likelihood`.",
            code="risk_not_checked",
            errors=[FieldError("config.influence.risk", "must be `likelihood`")],
        )
    predictors = [Predictor(CONFIGURED, config.influence), published(config.influence)]
    if table:
        predictors += rows(config.influence)
    entry = SURROGATES.get(config.surrogate.model)
    lacking = () if entry is None else entry.lacks
    predictors = [one for one in predictors if one.config.parameters.value not in lacking]
    loo, note = _leave_one_out(dataset, config, small_users, left_out, reporter)
    scores = datamodeling_scores(
        dataset,
        config,
        predictors,
        scale or FidelityScale(),
        folder,
        reporter,
        pairs=((CONFIGURED, PUBLISHED), (CONFIGURED, COUNT)),
    )
    return FidelityReport(loo, note, scores, config)


def published(base: InfluenceConfig) -> Predictor:
    """Return the published method with its matrix and damping, on the exact loss for its benefit."""
    config = base.model_copy(
        update={
            "parameters": InfluenceParameters.ATTENTION_OUTPUT,
            "curvature": Curvature.HESSIAN,
            "solver": Solver.LISSA,
            "max_iterations": None,
            "curvature_tokens": _CURVATURE_TOKENS,
        }
    )
    return Predictor(PUBLISHED, config, absolute_damping=_PAPER_DAMPING)


def rows(base: InfluenceConfig) -> list[Predictor]:
    """Return the gradient product and the curvatures of every parameter set.

    The Hessian of ``item_embedding`` is its Gauss-Newton matrix. Other Hessians have negative
    eigenvalues, at which conjugate gradient ends; its last iterate is scored.
    """
    found = []
    for parameters in InfluenceParameters:
        own = base.model_copy(
            update={
                "parameters": parameters,
                "solver": Solver.CG,
                "curvature_tokens": _CURVATURE_TOKENS,
            }
        )
        found.append(Predictor(f"{parameters}, gradient product", own, curved=False))
        for curvature in Curvature:
            if curvature is Curvature.HESSIAN and (
                parameters is not InfluenceParameters.ATTENTION_OUTPUT
            ):
                continue
            curved = own.model_copy(update={"curvature": curvature})
            found.append(Predictor(f"{parameters}, {curvature}", curved))
    return found


def _leave_one_out(
    dataset: Dataset, config: PruneConfig, users: int, count: int, reporter: Reporter
) -> tuple[Agreement | None, str]:
    small = small_problem(dataset, users)
    samples = build_samples(small, config.sampling, config.min_history)
    if len(samples) < 3:
        return None, "fewer than three samples"
    narrow = config.surrogate.model_copy(
        update={"hidden_size": min(16, config.surrogate.hidden_size)}
    )
    surrogate = train_surrogate(small, narrow)
    note = f"{len(samples)} samples, {small.n_items} items, {min(count, len(samples))} left out"
    try:
        found = leave_one_out(small, samples, surrogate, config.influence, count, reporter=reporter)
    except InputError as error:
        return None, f"{note}: {error}"
    return found.agreement(), note
