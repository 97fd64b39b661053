"""Experiments (a) to (c): selectors, the parts of DEALRec, and its options, on the data for design.

``python -m benchmarks.experiments.selectors --data DATA --work WORK``
"""

from typing import Any

from benchmarks._report import Target, finish
from benchmarks.experiments._problem import for_design, load_problem
from benchmarks.experiments._run import arguments, run


def controls(runs: int) -> list[dict[str, Any]]:
    """Return the controls, which are run more often, and ``dealrec``, which is run at most five times."""
    often = [{"method": name, "runs": runs} for name in ("random", "stratified_random")]
    return [*often, {"method": "dealrec", "runs": min(runs, 5)}]


SELECTORS: list[str] = [
    "influence",
    "effort",
    "ccs",
    "grand",
    "el2n",
    "goracs",
    "gradient_match",
]
"""Experiment (a): the selectors."""

OTHERS: list[str] = ["moderate", "herding", "k_center", "d2", "tf_dcon", "recranker"]
"""The other selectors."""


def _variants(method: str, changes: dict[str, dict[str, Any]], runs: int) -> list[dict[str, Any]]:
    return [
        {"label": f"{method}, {label}", "method": method, "selection": changed, "runs": runs}
        for label, changed in changes.items()
    ]


PARTS = _variants(
    "dealrec",
    {
        "no effort": {"effort_weight": 0},
        "one stratum": {"strata": 1},
        "no pruning": {"hard_prune": 0},
    },
    runs=2,
)
"""Experiment (b): parts of DEALRec, besides ``influence`` and ``effort``, which are selectors."""

OPTIONS = _variants(
    "dealrec",
    {
        "λ 1": {"effort_weight": 1},
        "K 25": {"strata": 25},
        "K 75": {"strata": 75},
        "30 % pruned": {"hard_prune": 0.3},
        "ranks and quantiles": {"normalisation": "rank", "stratum_edges": "quantile"},
    },
    runs=2,
)
"""Experiment (c): options of DEALRec."""

DESIGNS = [
    *_variants(
        "balanced",
        {
            f"10×4, {share:.0%}": {"strata": 10, "length_strata": 4, "harmful_prune": share}
            for share in (0.0, 0.25, 0.5)
        },
        runs=2,
    ),
    *_variants(
        "importance_resampling", {f"tilt {tilt}": {"tilt": tilt} for tilt in (1, 3)}, runs=3
    ),
    *_variants(
        "thinned_influence", {f"{most} a target": {"per_target": most} for most in (1, 2)}, runs=3
    ),
    *_variants("dealrec", {"no effort, no pruning": {"effort_weight": 0, "hard_prune": 0}}, runs=3),
]
"""Candidates for the default."""


ASKED: dict[str, list[Any]] = {
    "a": SELECTORS,
    "b": PARTS,
    "c": OPTIONS,
    "others": OTHERS,
    "designs": DESIGNS,
}


def main() -> None:
    """Run it and print which targets are met."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--budget", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--control-runs", type=int, default=8, help="of the random selectors")
    parser.add_argument("--parts", default="a,b,c,designs", help="of these, by commas")
    parser.add_argument("--full-data-runs", type=int, default=1)
    options = parser.parse_args()
    dataset = for_design(load_problem(options.data, options.users, options.work))
    report = run(
        dataset,
        [
            *controls(options.control_runs),
            *(selector for name in options.parts.split(",") for selector in ASKED[name]),
        ],
        options,
        name="selectors",
        budgets=[options.budget],
        seeds=options.seeds,
        full_data_runs=options.full_data_runs,
    )
    found = {
        row.against: row
        for row in report.differences
        if (row.selector, row.metric) == ("dealrec", "nll")
    }
    finish(
        "experiments.selectors",
        [
            Target(f"NLL of dealrec less {control}", "interval < 0", row.mean, row.better is True)
            for control, row in found.items()
        ],
    )


if __name__ == "__main__":
    main()
