"""A comparison's report, made from simulated figures of every user in every run."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dealrec.comparison.results import (
    LESS_IS_BETTER,
    NLL,
    Compared,
    ComparisonReport,
    Cost,
    Data,
    FullCost,
    Headroom,
    Model,
    Overlap,
    ReportedRun,
    SameAgainstSame,
)
from dealrec.comparison.statistics import differences, table
from dealrec.comparison.verdict import findings, verdict
from dealrec.config import SelectionMethod
from dealrec.config.compared import ALL_DATA
from dealrec.config.comparison import CONTROL, VERDICT_RUNS, ComparisonConfig
from dealrec.config.scales import Scale
from dealrec.config.selectors import SELECTORS

SELECTORS_ALL = tuple(method.value for method in SelectionMethod)
BAR = SelectionMethod.STRATIFIED_RANDOM.value
EFFECTS = {"dealrec": -0.45, "influence": -0.3, "effort": 0.5, "k_center": 0.4, BAR: -0.1}
"""Effects on the NLL of a title; other selectors have none."""
SAMPLES = 45_774
SMALLEST = 0.05
"""The smallest effect of interest, in nats of a title."""
_USERS = 120
_STAGES = {"surrogate": 61.0, "influence": 14.0, "effort": 95.0}


def comparison_report(
    selectors: Sequence[str | Mapping[str, Any]] = ("random", "stratified_random", "dealrec"),
    budgets: Sequence[int] = (128,),
    *,
    runs: int = VERDICT_RUNS,
    scale: Scale = Scale.CPU,
    ranking: bool = True,
    full_data_runs: int = 0,
    headroom: Headroom | None = None,
    effects: Mapping[str, float] = EFFECTS,
) -> ComparisonReport:
    """Make the report of simulated runs.

    A figure is the user's mean plus an effect of the run and noise of the user in the run.
    """
    draw = np.random.default_rng(0)
    config = ComparisonConfig.parse(
        {
            "budgets": list(budgets),
            "selectors": list(selectors),
            "seeds": runs,
            "full_data_runs": full_data_runs,
            "scale": scale,
        },
        location="comparison",
    )
    base = {name: draw.normal(mean, spread, _USERS) for name, mean, spread in _metrics(ranking)}
    groups = [(s.name, budget) for s in config.selectors for budget in budgets]
    groups += [(ALL_DATA, SAMPLES)] if full_data_runs else []
    figures = {}
    for label, budget in groups:
        count = full_data_runs if label == ALL_DATA else runs
        effect = effects.get(label, 0.0) - 0.25 * np.log2(budget / 128)
        figures[label, budget] = {
            name: _simulated(values, name, effect, count, draw) for name, values in base.items()
        }
    labels = [s.name for s in config.selectors]
    rows = table(figures)
    found = differences(
        figures, [control for control in (CONTROL, BAR) if control in labels], NLL, SMALLEST
    )
    full = FullCost(
        samples=SAMPLES, trunk=410.0, finetune=7900.0, total=8310.0, measured=full_data_runs > 0
    )
    return ComparisonReport(
        verdict=verdict(found, primary=NLL, smallest_effect=SMALLEST),
        smallest_effect=SMALLEST,
        headroom=headroom,
        findings=findings(rows, found, NLL),
        warnings=["A verdict takes 5 runs."] if runs < VERDICT_RUNS else [],
        data=Data(
            sha256=hashlib.sha256(b"data").hexdigest(),
            users=49_156,
            items=17_332,
            samples=SAMPLES,
            sampling="per_user",
            split_method="global_time",
            held_out="test",
            held_out_users=_USERS,
            ranking_users=50 if ranking else 0,
            seen_items="Items of a user's history are left out of the ranking.",
        ),
        model=Model(
            name="smollm2-135m", revision="abc123", trained_layers=4, layers=30, device="cpu"
        ),
        selectors=[
            Compared(
                label=s.name,
                method=s.method.value,
                summary=SELECTORS[s.method].summary,
                selection=config.selection(s).model_dump(mode="json"),
                runs=runs,
            )
            for s in config.selectors
        ],
        budgets=list(budgets),
        untrained={
            name: float(values.mean()) + (1.2 if name == NLL else 0.0)
            for name, values in base.items()
        },
        runs=[_run(group, number, of) for group, of in figures.items() for number in range(runs)],
        table=rows,
        differences=found,
        overlap=[_overlap(labels, budget, draw) for budget in budgets],
        costs=[_cost(label, budget, full) for label in labels for budget in budgets],
        full_cost=full,
        same_against_same=SameAgainstSame(
            splits=3 if runs > 3 else 0, rejected=0.0, simulated_rejected=0.047
        ),
        config=config.model_dump(mode="json"),
    )


def _metrics(ranking: bool):
    yield NLL, 17.4, 5.0
    yield "nll_per_token", 2.9, 0.8
    yield "preference", 0.35, 1.0
    if ranking:
        for name in ("recall", "ndcg"):
            for place, cutoff in enumerate((5, 10, 20, 50)):
                yield f"{name}@{cutoff}", 0.02 * (place + 1), 0.03


def _simulated(values, name, effect, runs, draw):
    size = {NLL: 1.0, "nll_per_token": 0.17, "preference": 1.0}.get(name, 0.02)
    effect = effect if name in LESS_IS_BETTER else -effect
    of_runs = draw.normal(0, 0.08 * size, (runs, 1))
    return values + size * effect + of_runs + draw.normal(0, 0.3 * size, (runs, _USERS))


def _run(group, number, figures):
    label, budget = group
    return ReportedRun(
        selector=label,
        budget=budget,
        number=number,
        selection_seed=number,
        training_seed=100 + number,
        coreset_sha256=hashlib.sha256(f"{label} {budget} {number}".encode()).hexdigest(),
        metrics={
            name: float(values[number % len(values)].mean()) for name, values in figures.items()
        },
        train_loss=2.1,
        steps=budget // 8,
        tokens=budget * 96,
        select_seconds=0.02,
        finetune_seconds=0.17 * budget,
        evaluate_seconds=12.0,
    )


def _overlap(labels, budget, draw):
    chance = 0.3 * draw.random((len(labels), len(labels)))
    jaccard = (chance + chance.T) / 2
    if "dealrec" in labels and "influence" in labels:
        one, other = labels.index("dealrec"), labels.index("influence")
        jaccard[one, other] = jaccard[other, one] = 0.74
    for place, label in enumerate(labels):
        jaccard[place, place] = 0.01 if label == CONTROL else 1.0
    return Overlap(budget=budget, selectors=list(labels), jaccard=jaccard.tolist())


def _cost(label, budget, full):
    stages = {} if label in (CONTROL, BAR) else dict(_STAGES)
    trunk, finetune = 0.009 * budget, 0.17 * budget
    total = sum(stages.values()) + 0.02 + trunk + finetune
    return Cost(
        selector=label,
        budget=budget,
        stages=stages,
        select=0.02,
        trunk=trunk,
        finetune=finetune,
        total=total,
        saved=1 - total / full.total,
    )
