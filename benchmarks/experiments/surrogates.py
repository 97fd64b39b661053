"""Experiment (d): does a better surrogate make a better coreset? On the data for design.

``python -m benchmarks.experiments.surrogates --data DATA --work WORK``
"""

from typing import Any

from benchmarks._report import Target, finish
from benchmarks.experiments._problem import for_design, load_problem
from benchmarks.experiments._run import arguments, run

SURROGATES: dict[str, dict[str, Any]] = {
    "sasrec": {"model": "sasrec"},
    "bert4rec": {"model": "bert4rec"},
    "gru4rec": {"model": "gru4rec"},
    "sasrec, mean of 3": {"model": "sasrec", "ensemble": 3},
}
BY_INFLUENCE = ("influence", "influence_strata")


def main() -> None:
    """Run it and print which targets are met."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--budget", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    dataset = for_design(load_problem(options.data, options.users, options.work))
    targets = []
    for model, surrogate in SURROGATES.items():
        report = run(
            dataset,
            [{"method": "random", "runs": 8}, *BY_INFLUENCE],
            options,
            name=f"surrogate-{model.replace(', ', '-').replace(' ', '-')}",
            budgets=[options.budget],
            seeds=options.seeds,
            config={"surrogate": surrogate},
        )
        targets += [
            Target(
                f"{model}: NLL of {row.selector} less random",
                "interval < 0",
                row.mean,
                row.better is True,
            )
            for row in report.differences
            if (row.against, row.metric) == ("random", "nll")
        ]
    finish("experiments.surrogates", targets)


if __name__ == "__main__":
    main()
