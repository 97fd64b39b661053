"""Experiments (a) to (c): selectors, the parts of DEALRec, and its options, on the data for design.

``python -m benchmarks.experiments.selectors --data DATA --work WORK``
"""

from typing import Any

from benchmarks._report import Target, finish
from benchmarks.experiments._problem import for_design, load_problem
from benchmarks.experiments._run import arguments, run

CONTROLS: list[dict[str, Any]] = [
    {"method": "random", "runs": 8},
    {"method": "stratified_random", "runs": 8},
    {"method": "dealrec", "runs": 5},
]
SELECTORS: list[str] = [
    "dealrec_paper",
    "influence",
    "effort",
    "ccs",
    "grand",
    "el2n",
    "goracs",
    "gradient_match",
]
"""(a)"""

OTHERS: list[str] = ["moderate", "herding", "k_center", "d2", "tf_dcon", "recranker"]
"""The rest of what can be selected by."""

PARTS: list[dict[str, Any]] = [
    {"label": "dealrec, no effort", "method": "dealrec", "selection": {"effort_weight": 0}},
    {"label": "dealrec, one stratum", "method": "dealrec", "selection": {"strata": 1}},
    {"label": "dealrec, no pruning", "method": "dealrec", "selection": {"hard_prune": 0}},
]
"""(b) Beside ``influence`` and ``effort`` alone, which are selectors of their own."""

OPTIONS: list[dict[str, Any]] = [
    {"label": "dealrec, λ 1", "method": "dealrec", "selection": {"effort_weight": 1}},
    {"label": "dealrec, K 25", "method": "dealrec", "selection": {"strata": 25}},
    {"label": "dealrec, K 75", "method": "dealrec", "selection": {"strata": 75}},
    {"label": "dealrec, 30 % pruned", "method": "dealrec", "selection": {"hard_prune": 0.3}},
    {
        "label": "dealrec, ranks and quantiles",
        "method": "dealrec",
        "selection": {"normalisation": "rank", "stratum_edges": "quantile"},
    },
]
"""(c)"""


DESIGNS: list[dict[str, Any]] = [
    *(
        {
            "label": f"balanced, {strata}×{lengths}, {share:.0%}",
            "method": "balanced",
            "selection": {"strata": strata, "length_strata": lengths, "harmful_prune": share},
        }
        for strata, lengths, share in ((10, 4, 0.0), (10, 4, 0.25), (10, 4, 0.5))
    ),
    *(
        {
            "label": f"importance_resampling, tilt {tilt}",
            "method": "importance_resampling",
            "selection": {"tilt": tilt},
        }
        for tilt in (1, 3)
    ),
]
"""What a default might be."""


ASKED: dict[str, list[Any]] = {
    "a": SELECTORS,
    "b": PARTS,
    "c": OPTIONS,
    "others": OTHERS,
    "designs": DESIGNS,
}


def main() -> None:
    """Run it, and say what holds."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--budget", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", default="a,b,c,designs", help="of these, by commas")
    parser.add_argument("--full-data-runs", type=int, default=1)
    options = parser.parse_args()
    dataset = for_design(load_problem(options.data, options.users, options.work))
    report = run(
        dataset,
        [*CONTROLS, *(selector for name in options.parts.split(",") for selector in ASKED[name])],
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
