"""Time and memory of every stage at 10⁴, 10⁵ and 10⁶ users, without a language model.

Data are made up from a seed (:mod:`benchmarks._synthetic`): ten interactions a user, one item for
five users. Each stage runs in a process of its own and reads what the one before it saved, as the
workers do; its peak is the largest resident size of that process, Python and torch included.

Stated choices, the same at all sizes: one epoch of the default surrogate in batches of 8,192
positions; the influence loss is a softmax over 8,192 items that stand for the catalogue, because
samples times items would grow with the square of the users; everything else is the default.
"""

import argparse
import itertools
import re
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks._report import Target, finish, peak_memory_mib, timed
from benchmarks._synthetic import INTERACTIONS, ITEMS, Size, write_interactions
from dealrec.config import PruneConfig

USERS = (10_000, 100_000, 1_000_000)
BUDGET = 1024
CONFIG = PruneConfig.parse(
    {
        "effort": None,
        "surrogate": {"epochs": 1, "batch_tokens": 8192},
        "influence": {"loss_items": 8192},
    }
)
DATASET, SURROGATE, INFLUENCE, CORESET = "dataset", "surrogate", "influence", "coreset"


@dataclass(frozen=True)
class Cost:
    """The time and the memory of a stage."""

    seconds: float
    peak_mib: float


def make(folder: Path, users: int) -> None:
    """The files that a person would upload."""
    write_interactions(folder, Size.of(users))


def ingest_stage(folder: Path, _users: int) -> None:
    """Files to a data set."""
    from dealrec.data.ingest import ingest

    ingest(folder / INTERACTIONS, items=folder / ITEMS, out=folder / DATASET)


def surrogate_stage(folder: Path, _users: int) -> None:
    """One epoch, with the evaluation that belongs to it."""
    from dealrec.data.dataset import Dataset
    from dealrec.surrogates.training import train_surrogate

    dataset = Dataset.load(folder / DATASET)
    train_surrogate(dataset, CONFIG.surrogate).save(folder / SURROGATE)


def influence_stage(folder: Path, _users: int) -> None:
    """Every sample's score."""
    from dealrec.data.dataset import Dataset
    from dealrec.data.samples import build_samples
    from dealrec.influence.scoring import score_influence
    from dealrec.surrogates.storage import load_surrogate

    dataset = Dataset.load(folder / DATASET)
    surrogate = load_surrogate(folder / SURROGATE)
    samples = build_samples(dataset, CONFIG.sampling, CONFIG.min_history)
    score_influence(dataset, samples, surrogate, CONFIG.influence).save(folder / INFLUENCE)


def select_stage(folder: Path, _users: int) -> None:
    """Scores to a written coreset with its report."""
    from dealrec.coresets.writer import REPORT, write_coreset
    from dealrec.data.dataset import Dataset
    from dealrec.data.samples import build_samples
    from dealrec.influence.scores import InfluenceScores
    from dealrec.reports.report import write_report
    from dealrec.selection.interface import Scores
    from dealrec.selection.select import select

    dataset = Dataset.load(folder / DATASET)
    samples = build_samples(dataset, CONFIG.sampling, CONFIG.min_history)
    influence = InfluenceScores.load(folder / INFLUENCE).scores
    scores = Scores(samples.keys(dataset), influence, None)
    write_coreset(
        dataset,
        samples,
        scores,
        select(scores, BUDGET, CONFIG.selection),
        config=CONFIG,
        budget_requested=BUDGET,
        facts={},
        out=folder / CORESET,
    )
    write_report(folder / CORESET, folder / CORESET / REPORT)


Stage = Callable[[Path, int], None]
STAGES: dict[str, Stage] = {
    "ingest": ingest_stage,
    "surrogate": surrogate_stage,
    "influence": influence_stage,
    "select": select_stage,
}


def measured(stage: Stage, folder: Path, users: int) -> Cost:
    """Run a stage in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_run, stage, folder, users).result()


def _run(stage: Stage, folder: Path, users: int) -> Cost:
    with timed() as watch:
        stage(folder, users)
    return Cost(watch.seconds, resident_peak_mib())


def resident_peak_mib() -> float:
    """The peak of this program alone: ``getrusage`` starts at the size of the parent process."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else peak_memory_mib()


def run(users: tuple[int, ...]) -> dict[int, dict[str, Cost]]:
    """Costs by number of users and stage, with a line for each as it ends."""
    costs: dict[int, dict[str, Cost]] = {}
    for count in users:
        costs[count] = {}
        with tempfile.TemporaryDirectory(prefix="dealrec-scale-") as scratch:
            made = measured(make, Path(scratch), count)
            print(f"{count:>9,} users made in {made.seconds:.1f} s", flush=True)
            for name, stage in STAGES.items():
                cost = costs[count][name] = measured(stage, Path(scratch), count)
                print(
                    f"{count:>9,} users  {name:10} {cost.seconds:8.1f} s {cost.peak_mib:8.0f} MiB",
                    flush=True,
                )
    return costs


def table(costs: dict[int, dict[str, Cost]]) -> str:
    """Markdown: seconds and MiB of each stage at each size, and how both grew from size to size."""
    sizes = list(costs)
    lines = ["| stage | " + " | ".join(f"{size:,} users" for size in sizes) + " | growth |"]
    lines.append("|---" * (len(sizes) + 2) + "|")
    for name in STAGES:
        cells = [costs[size][name] for size in sizes]
        shown = [f"{cost.seconds:.1f} s, {cost.peak_mib:,.0f} MiB" for cost in cells]
        growth = [f"×{b.seconds / a.seconds:.1f}" for a, b in itertools.pairwise(cells)]
        lines.append(f"| {name} | " + " | ".join([*shown, ", ".join(growth)]) + " |")
    return "\n".join(lines)


def targets(costs: dict[int, dict[str, Cost]]) -> list[Target]:
    """The promises for a million users; growth is between the two largest sizes."""
    sizes = sorted(costs)
    full = sizes[-1] >= USERS[-1]
    last = costs[sizes[-1]]
    scored = last["influence"].seconds + last["select"].seconds
    peak = max(cost.peak_mib for cost in last.values())
    found = [
        ("ingest of 10,000,000 interactions, s", "< 60", last["ingest"].seconds, 60.0),
        ("ingest of 10,000,000 interactions, MiB", "< 2048", last["ingest"].peak_mib, 2048.0),
        ("influence and selection of 1,000,000 users, s", "< 600", scored, 600.0),
        ("largest stage of 1,000,000 users, MiB", "< 6144", peak, 6144.0),
    ]
    result = [
        Target(name, target, value, value < bound if full else None)
        for name, target, value, bound in found
    ]
    if len(sizes) > 1:
        factor = sizes[-1] / sizes[-2]
        before = costs[sizes[-2]]
        for name in STAGES:
            growth = last[name].seconds / before[name].seconds / factor
            label = f"{name}: time a user, over that at a tenth of the users"
            result.append(Target(label, "<= 1.5", growth, growth <= 1.5 if full else None))
    return result


def main() -> None:
    """Read the arguments, run the stages, print the table and the last line."""
    parser = argparse.ArgumentParser(description="Time and memory of every stage by size.")
    parser.add_argument("--data", type=Path, help="not read: the data are made up")
    parser.add_argument("--users", type=int, nargs="+", default=list(USERS))
    arguments = parser.parse_args()
    costs = run(tuple(sorted(arguments.users)))
    print(table(costs))
    finish("scale", targets(costs))


if __name__ == "__main__":
    main()
