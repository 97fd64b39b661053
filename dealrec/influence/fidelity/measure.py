"""Both measures of fidelity on a person's own data, and what they come to in plain sentences."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dealrec.config import (
    Curvature,
    InfluenceConfig,
    InfluenceParameters,
    PruneConfig,
    Solver,
)
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from dealrec.influence.fidelity.datamodeling import (
    COUNT,
    DatamodelingScores,
    Scale,
    datamodeling_scores,
)
from dealrec.influence.fidelity.halves import small_problem
from dealrec.influence.fidelity.intervals import Interval
from dealrec.influence.fidelity.leave_one_out import leave_one_out
from dealrec.influence.fidelity.predictors import Predictor
from dealrec.progress import SILENT, Reporter
from dealrec.surrogates.training import train_surrogate

CONFIGURED, PUBLISHED = "this configuration", "published LiSSA"
PAPER_DAMPING = 0.25
"""What damps the published recursion in effect: its ``damp × scale``, far above the eigenvalues."""
CURVATURE_TOKENS = 1024
"""Of every row but the configuration's own: a half costs a solve, and there are many."""


@dataclass(frozen=True)
class FidelityReport:
    """What was measured."""

    leave_one_out: Interval | None
    """Spearman correlation of scores with retraining; ``None`` where that could not be done."""
    leave_one_out_note: str
    datamodeling: DatamodelingScores
    config: PruneConfig

    def verdicts(self) -> list[str]:
        """A sentence a comparison."""
        sentences = []
        for kind, differences in self.datamodeling.differences.items():
            for name, interval in differences.items():
                other = name.split(" − ")[1]
                if interval.low > 0:
                    said = "predicts better than"
                elif interval.high < 0:
                    said = "predicts worse than"
                else:
                    said = "cannot be told from"
                sentences.append(f"{kind} queries: {CONFIGURED} {said} {other}, by {interval}.")
        return sentences

    def lines(self) -> list[str]:
        """The report as text."""
        found = self.leave_one_out
        loo = "not measured" if found is None else f"Spearman {found}"
        lines = [f"Leave-one-out retraining ({self.leave_one_out_note}): {loo}"]
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
    scale: Scale | None = None,
    table: bool = False,
    left_out: int = 30,
    small_users: int = 150,
    reporter: Reporter = SILENT,
) -> FidelityReport:
    """Leave-one-out on ``small_users`` users, the linear datamodeling score on all of them.

    ``table`` scores every parameter set and curvature beside the configured one. ``folder`` keeps
    finished trainings, and the same call goes on with them.

    Raises :class:`InputError`: ``too_small``, and what scoring raises.
    """
    predictors = [Predictor(CONFIGURED, config.influence), published(config.influence)]
    if table:
        predictors += rows(config.influence)
    loo, note = _leave_one_out(dataset, config, small_users, left_out, reporter)
    scores = datamodeling_scores(
        dataset,
        config,
        predictors,
        scale or Scale(),
        folder,
        reporter,
        pairs=((CONFIGURED, PUBLISHED), (CONFIGURED, COUNT)),
    )
    return FidelityReport(loo, note, scores, config)


def published(base: InfluenceConfig) -> Predictor:
    """The paper's code at its best: its matrix and damping, on an exact loss instead of drawn negatives."""
    config = base.model_copy(
        update={
            "parameters": InfluenceParameters.ATTENTION_OUTPUT,
            "curvature": Curvature.HESSIAN,
            "solver": Solver.LISSA,
            "max_iterations": None,
            "curvature_tokens": CURVATURE_TOKENS,
        }
    )
    return Predictor(PUBLISHED, config, absolute_damping=PAPER_DAMPING)


def rows(base: InfluenceConfig) -> list[Predictor]:
    """Gradient products and both curvatures of every parameter set.

    The Hessian of ``item_embedding`` is its Gauss-Newton matrix. A Hessian has negative eigenvalues,
    which conjugate gradient ends at; what it had by then is scored.
    """
    found = []
    for parameters in InfluenceParameters:
        own = base.model_copy(
            update={
                "parameters": parameters,
                "solver": Solver.CG,
                "curvature_tokens": CURVATURE_TOKENS,
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
) -> tuple[Interval | None, str]:
    small = small_problem(dataset, users)
    samples = build_samples(small, config.sampling, config.min_history)
    if len(samples) < 3:
        return None, "fewer than three samples"
    narrow = config.surrogate.model_copy(
        update={"hidden_size": min(16, config.surrogate.hidden_size)}
    )
    surrogate = train_surrogate(small, narrow)
    exactly = config.influence.model_copy(update={"dtype": "float64", "tolerance": 1e-8})
    note = f"{len(samples)} samples, {small.n_items} items, {min(count, len(samples))} left out"
    try:
        found = leave_one_out(small, samples, surrogate.model, exactly, count, reporter=reporter)
    except InputError as error:
        return None, f"{note}: {error}"
    return found.spearman(), note
