"""Does influence predict what training on other users does? The linear datamodeling score on real data.

``python -m benchmarks.fidelity --data FOLDER [--users N]`` with ``interactions.csv.gz`` and
``items.csv.gz``. Trains the default surrogate on 30 random halves of the users with two seeds each
and asks 500 validation and 500 training queries; scores every parameter set and curvature, the
published LiSSA, the target count and the ceiling. ``--keep DIR`` keeps the trainings for another run.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks._report import Target, finish, timed
from dealrec.config import PruneConfig
from dealrec.data.ingest import ingest
from dealrec.influence.fidelity.datamodeling import CEILING, COUNT, FidelityScale
from dealrec.influence.fidelity.halves import small_problem
from dealrec.influence.fidelity.measure import (
    CONFIGURED,
    PUBLISHED,
    FidelityReport,
    measure_fidelity,
)
from dealrec.progress import Silent

USERS = 6000
"""Enough for the surrogate to learn, few enough for 62 trainings in some minutes."""


def main() -> None:
    """Print the table, and the targets as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dealrec-bench-") as name:
        data, items = options.data / "interactions.csv.gz", options.data / "items.csv.gz"
        dataset = small_problem(ingest(data, items=items, out=Path(name)).dataset, options.users)
        with timed() as watch:
            report = measure_fidelity(
                dataset,
                PruneConfig.parse({"effort": None}),
                options.keep or Path(name) / "trainings",
                scale=FidelityScale(processes=2),
                table=True,
                reporter=_Printed(),
            )
    print(f"{report.datamodeling.counts}, {watch.seconds:.0f} s", flush=True)
    print("\n".join(report.lines()), flush=True)
    finish("fidelity", _targets(report))


class _Printed(Silent):
    """A line whenever a tenth of a part is done."""

    def progress(self, done: int, total: int, unit: str) -> None:
        if (done and done % max(1, total // 10) == 0) or done == total:
            print(f"{time.strftime('%H:%M:%S')} {done} of {total}, {unit}", flush=True)


def _targets(report: FidelityReport) -> list[Target]:
    targets = []
    loo = report.leave_one_out
    if loo is not None:
        for name, found in (("the scores used", loo.used), ("at the minimum", loo.at_minimum)):
            targets.append(Target(f"leave-one-out, {name}, Spearman", "-", found.mean, None))
    for kind, scores in report.datamodeling.scores.items():
        differences = report.datamodeling.differences[kind]
        low = differences[f"{CONFIGURED} − {PUBLISHED}"].low
        targets += [
            Target(f"{kind}: the default's score", "-", scores[CONFIGURED].mean, None),
            Target(f"{kind}: ceiling", "-", scores[CEILING].mean, None),
            Target(f"{kind}: target count", "-", scores[COUNT].mean, None),
            Target(f"{kind}: default − published LiSSA, low end", "> 0", low, low > 0),
            Target(
                f"{kind}: default − target count, low end",
                "-",
                differences[f"{CONFIGURED} − {COUNT}"].low,
                None,
            ),
        ]
    return targets


if __name__ == "__main__":
    main()
