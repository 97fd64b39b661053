"""Cost of an append of 1 % beside that of the first ingestion, in seconds of processor time.

Data are made up from a seed (:mod:`benchmarks._synthetic`): ten interactions a user, one item for five
users. Of the rows of the newest fiftieth each goes to the appended file by the toss of a coin, so many of
the appended rows are late, and some users and items are new. The first ingestion, the append, and the
ingestion of both files together each run in a process of its own, without the time that it takes to load
Python; the hash of the append must be that of both files together. Processor time is compared, so that
other work on the machine changes the figures little.

The constant is what an append to a data set of 1,000 users costs.
"""

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from benchmarks._report import Target, finish
from benchmarks._synthetic import INTERACTIONS, ITEMS, Size, write_interactions
from benchmarks.scale import resident_peak_mib

USERS, SMALL = 1_000_000, 1_000
SHARE, NEWEST = 0.01, 0.02
FIRST, LATER = "first.csv", "later.csv"


@dataclass(frozen=True)
class Cost:
    """What one step took, and the hash that it gave."""

    seconds: float
    """Of the processor, all threads together."""
    peak_mib: float
    sha256: str


def make(folder: Path, users: int) -> None:
    """Write the first file and the appended one."""
    size = Size.of(users)
    every = round(size.interactions * (1 + SHARE))
    write_interactions(folder, Size(size.users, size.items, every))
    table = pa_csv.read_csv(folder / INTERACTIONS)
    newest = np.arange(every) >= every - round(2 * SHARE * size.interactions)
    later = newest & (np.random.default_rng(0).random(every) < SHARE / NEWEST)
    for name, rows in ((FIRST, ~later), (LATER, later)):
        pa_csv.write_csv(table.filter(pa.array(rows)), folder / name)


def ingest_step(folder: Path) -> str:
    """The first file to a data set."""
    from dealrec.data.ingest import ingest

    return ingest(folder / FIRST, items=folder / ITEMS, out=folder / "first").dataset.sha256


def append_step(folder: Path) -> str:
    """The second file to a version of it."""
    from dealrec.data.append import append

    return append(folder / "first", folder / LATER, out=folder / "second").dataset.sha256


def whole_step(folder: Path) -> str:
    """Both files to a data set."""
    from dealrec.data.ingest import ingest

    files = [folder / FIRST, folder / LATER]
    return ingest(files, items=folder / ITEMS, out=folder / "whole").dataset.sha256


STEPS = {"ingest": ingest_step, "append": append_step, "both together": whole_step}


def _run(name: str, folder: Path) -> Cost:

    begun = time.process_time()
    sha256 = STEPS[name](folder)
    return Cost(time.process_time() - begun, resident_peak_mib(), sha256)


def measured(users: int) -> dict[str, Cost]:
    """The cost of each step at a size, with a line for each as it ends."""
    costs: dict[str, Cost] = {}
    context = get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="dealrec-append-") as scratch:
        folder = Path(scratch)
        with ProcessPoolExecutor(1, mp_context=context) as process:
            process.submit(make, folder, users).result()
        for name in STEPS:
            with ProcessPoolExecutor(1, mp_context=context) as process:
                cost = costs[name] = process.submit(_run, name, folder).result()
            told = f"{cost.seconds:8.2f} s {cost.peak_mib:8.0f} MiB  {cost.sha256[:12]}"
            print(f"{users:>9,} users  {name:14}{told}", flush=True)
    return costs


def targets(users: int, costs: dict[str, Cost], constant: float) -> list[Target]:
    """The promises for ten million interactions."""
    full = users >= USERS
    first, appended = costs["ingest"], costs["append"]
    bound = 0.03 * first.seconds + constant
    same = appended.sha256 == costs["both together"].sha256
    found = [
        ("append of 1 %, s of the processor", f"<= {bound:.2f}", appended.seconds, bound),
        ("append of 1 %, MiB", "<= 2048", appended.peak_mib, 2048.0),
    ]
    return [
        Target("append gives the hash of both files together", "= 1", float(same), same),
        Target(
            "append over ingest",
            "-",
            appended.seconds / first.seconds,
            None,
        ),
        *(
            Target(name, target, value, value <= most if full else None)
            for name, target, value, most in found
        ),
    ]


def main() -> None:
    """Read the arguments, run the steps, print the targets and the last line."""
    parser = argparse.ArgumentParser(description="Cost of an append beside that of an ingestion.")
    parser.add_argument("--data", type=Path, help="not read: the data are made up")
    parser.add_argument("--users", type=int, default=USERS)
    arguments = parser.parse_args()
    constant = measured(SMALL)["append"].seconds
    finish("append", targets(arguments.users, measured(arguments.users), constant))


if __name__ == "__main__":
    main()
