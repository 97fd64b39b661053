"""The confirmatory run of what was designed: test users, fresh seeds, two budgets, two domains.

``python -m benchmarks.experiments.confirmation --data DATA --work WORK``
"""

from pathlib import Path

from benchmarks._report import Target, finish
from benchmarks.experiments._problem import load_problem
from benchmarks.experiments._run import EVALUATION, FINETUNE, arguments, run
from dealrec.comparison.results import ComparisonReport
from dealrec.config import SelectionMethod
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.synthetic import write_sample_data

BUDGETS = (64, 256)
FRESH = 1000
"""The first seed of selection and training; the experiments for design began at 0."""
CONTROLS = ("random", "stratified_random")
DESIGNED = SelectionMethod.INFLUENCE_STRATA.value
"""The selector that the experiments on validation users led to, settled before this was run."""
USERS = 600
"""Held-out users: differences between selectors are small compared with those between users."""
_SYNTHETIC_USERS, _SYNTHETIC_ITEMS, _SYNTHETIC_SEED = 3000, 1000, 11


def synthetic(work: Path) -> Dataset:
    """A domain of made-up titles, genres and sequences."""
    folder = work / "synthetic"
    if not (folder / "dataset" / "dataset.json").is_file():
        write_sample_data(
            folder, users=_SYNTHETIC_USERS, items=_SYNTHETIC_ITEMS, seed=_SYNTHETIC_SEED
        )
        ingest(folder / "interactions.csv", items=folder / "items.csv", out=folder / "dataset")
    return Dataset.load(folder / "dataset")


def main() -> None:
    """Run it and print which targets are met."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--domains", default="games,synthetic", help="of these, by commas")
    options = parser.parse_args()
    domains = {
        "games": lambda: load_problem(options.data, options.users, options.work),
        "synthetic": lambda: synthetic(options.work),
    }
    targets = []
    for name in options.domains.split(","):
        dataset = domains[name]()
        report = run(
            dataset,
            [*CONTROLS, DESIGNED],
            options,
            name=f"confirmation-{name}",
            budgets=BUDGETS,
            seeds=options.seeds,
            config={
                "selection": {"seed": FRESH},
                "evaluation": EVALUATION.model_copy(update={"users": USERS}).model_dump(),
                "finetune": FINETUNE.model_copy(update={"seed": FRESH}).model_dump(),
            },
        )
        targets += _targets(name, report)
    finish("experiments.confirmation", targets)


def _targets(domain: str, report: ComparisonReport) -> list[Target]:
    return [
        Target(
            f"{domain}, {row.budget}: NLL of {DESIGNED} less {row.against}",
            "interval < 0",
            row.mean,
            row.better is True,
        )
        for row in report.differences
        if (row.selector, row.metric) == (DESIGNED, "nll")
    ]


if __name__ == "__main__":
    main()
