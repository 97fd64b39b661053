"""How much a coreset changes when effort is asked for a pool of candidates only."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from benchmarks._effort import PROMPT
from dealrec.config import SelectionConfig, SelectionMethod, SurrogateConfig
from dealrec.config.effort import EffortConfig, measured_samples
from dealrec.config.influence import InfluenceConfig
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples
from dealrec.effort.candidates import draw_candidates
from dealrec.effort.scoring import measure_effort
from dealrec.influence.scoring import score_influence
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.selection.interface import Scores
from dealrec.selection.select import select
from dealrec.surrogates.training import train_surrogate

SEEDS = 20
_METHOD = SelectionConfig(method=SelectionMethod.DEALREC)
"""The selector that looks at effort beside influence."""


@dataclass(frozen=True)
class Agreement:
    """Mean Jaccard index with the full method's coreset, over selection seeds."""

    what: str
    measured: int
    """Samples whose effort is asked for."""
    jaccard: float


def agreements(
    data: Path,
    scratch: Path,
    loaded: LoadedLanguageModel,
    *,
    users: int,
    budget: int,
    factors: tuple[int, ...],
) -> list[Agreement]:
    """On the first ``users`` users: pools of each factor, and what to read them against.

    One seed gives a sample the same priority in every selection, so even random coresets of one
    seed share members; those of the full method with another seed say how much a draw is worth.
    """
    scores = _scores(data, scratch, loaded, users)
    full = [
        select(scores, budget, _METHOD.model_copy(update={"seed": seed})).indices
        for seed in range(SEEDS)
    ]
    found = []
    for factor in (*factors, len(scores)):
        size = measured_samples(len(scores), budget, factor)
        chosen = [_from_pool(scores, size, budget, seed) for seed in range(SEEDS)]
        name = "all candidates" if size == len(scores) else f"{factor} x budget candidates"
        found.append(Agreement(name, size, _mean_jaccard(chosen, full)))
    without = Scores(scores.keys, scores.influence, None)
    for name, config in (
        ("no effort at all", _METHOD.model_copy(update={"effort_weight": 0.0})),
        ("random, same draws", SelectionConfig(method=SelectionMethod.RANDOM)),
    ):
        chosen = [
            select(without, budget, config.model_copy(update={"seed": seed})).indices
            for seed in range(SEEDS)
        ]
        found.append(Agreement(name, 0, _mean_jaccard(chosen, full)))
    others = [*full[1:], full[0]]
    found.append(Agreement("full method, another seed", len(scores), _mean_jaccard(others, full)))
    return found


def _scores(data: Path, scratch: Path, loaded: LoadedLanguageModel, users: int) -> Scores:
    """Influence and effort of every sample of the first users."""
    table = pa_csv.read_csv(data / "interactions.csv.gz")
    first = table["user_id"].unique().slice(0, users)
    path = scratch / "first.csv"
    pa_csv.write_csv(table.filter(pc.is_in(table["user_id"], value_set=first)), path)
    dataset = ingest(path, items=data / "items.csv.gz", out=scratch / "first").dataset
    samples = build_samples(dataset)
    surrogate = train_surrogate(dataset, SurrogateConfig(epochs=20))
    influence = score_influence(dataset, samples, surrogate, InfluenceConfig())
    prompter = Prompter(dataset, samples, PROMPT)
    effort = measure_effort(loaded, prompter.prompt, len(samples), EffortConfig())
    return Scores(samples.keys(dataset), influence.scores, effort.scores)


def _from_pool(scores: Scores, size: int, budget: int, seed: int) -> npt.NDArray[np.int64]:
    config = _METHOD.model_copy(update={"seed": seed})
    mask = np.zeros(len(scores), dtype=np.bool_)
    assert scores.influence is not None and scores.effort is not None
    mask[draw_candidates(scores.keys, scores.influence, size, config)] = True
    effort = np.where(mask, scores.effort, np.nan)
    return select(Scores(scores.keys, scores.influence, effort, mask), budget, config).indices


def _mean_jaccard(some: list[npt.NDArray[np.int64]], others: list[npt.NDArray[np.int64]]) -> float:
    shares = [
        len(np.intersect1d(a, b)) / len(np.union1d(a, b)) for a, b in zip(some, others, strict=True)
    ]
    return float(np.mean(shares))
