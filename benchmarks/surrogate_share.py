"""How far does a surrogate on less than everything agree with the whole one, and what does it save?

``python -m benchmarks.surrogate_share --data FOLDER --work WORK`` with ``interactions.csv.gz`` and
``items.csv.gz``; ``--users N`` makes data of N users up instead (:mod:`benchmarks._synthetic`). The default
surrogate learns from everything, from everything with another seed (as much agreement as can be hoped
for), and from shares of the users, of the newest interactions, and of the epochs. Every one scores
all samples. The table has Spearman's correlation of the influence with that of the whole surrogate, the
overlap (Jaccard) of coresets of two sizes by the default selector, beside that of random ones, and the
processor's seconds. What is finished is kept in ``WORK``, trainings that were stopped go on, and ``--only
"NAME;NAME"`` makes some of the rows, so that several processes can share the work.

For 10⁶ users: ``--users 1000000 --set epochs=2 --set batch_tokens=8192 --loss-items 8192``.
"""

import argparse
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks._report import Target, finish
from benchmarks._synthetic import INTERACTIONS, ITEMS, Size, write_interactions
from dealrec.config import InfluenceConfig, Split, SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.config.selection import SelectionConfig
from dealrec.data.dataset import SPLIT_CODES, Dataset
from dealrec.data.ingest import ingest
from dealrec.data.samples import Samples, build_samples
from dealrec.disk import written_whole
from dealrec.influence.scoring import score_influence
from dealrec.metrics.correlation import spearman
from dealrec.progress import Silent
from dealrec.selection.interface import Scores
from dealrec.selection.select import select
from dealrec.surrogates.training import train_surrogate

SHARES = "0.05,0.1,0.25,0.5"
WHOLE, OTHER = "everything", "everything, seed 1"
BUDGETS = (0.02, 0.1)
"""The shares of all samples that the compared coresets have."""
_METRICS = ("test_recall@20", "test_ndcg@10")
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One surrogate and what it cost."""

    name: str
    scores: Float64
    """[n] the influence of all samples."""
    metrics: dict[str, float]
    training: float
    """Processor seconds of the training."""
    influence: float
    """Processor seconds of the scores."""


def main() -> None:
    """Make the rows that are missing, and print the table and the figures as the last line."""
    options = _options()
    dataset = _dataset(options)
    samples = build_samples(dataset)
    base = SurrogateConfig.parse(dict(option.split("=", 1) for option in options.set))
    influence = InfluenceConfig(loss_items=options.loss_items)
    planned = plan(base, [float(share) for share in options.shares.split(",")])
    wanted = set(options.only.split(";")) if options.only else set(planned)
    work = options.work / f"{dataset.sha256[:16]}"
    rows = {}
    for name, config in planned.items():
        folder = work / _slug(name, config, influence)
        if not (folder / "row.json").exists() and name in wanted:
            _make(folder, dataset, samples, config, influence)
        if (folder / "row.json").exists():
            rows[name] = _row(name, folder)
            print(f"{name}: there", flush=True)
    if WHOLE in rows:
        finish("surrogate_share", _table(rows, dataset, samples))


def plan(base: SurrogateConfig, shares: list[float]) -> dict[str, SurrogateConfig]:
    """Name the surrogates: the whole one, one of another seed, and each way and share."""
    every = {WHOLE: base, OTHER: base.model_copy(update={"seed": base.seed + 1})}
    for share in shares:
        every[f"users {share:.0%}"] = base.model_copy(update={"user_share": share})
    for share in shares:
        every[f"recent {share:.0%}"] = base.model_copy(update={"recent_share": share})
    for epochs in sorted({max(1, round(share * base.epochs)) for share in shares}):
        every[f"epochs {epochs} of {base.epochs}"] = base.model_copy(update={"epochs": epochs})
    return every


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path)
    source.add_argument("--users", type=int, help="make data of so many users up")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--shares", default=SHARES, help="by commas")
    parser.add_argument("--set", action="append", default=[], help="an option of the surrogate")
    parser.add_argument("--loss-items", type=int, default=None)
    parser.add_argument("--only", default="", help="names of rows, by semicolons")
    return parser.parse_args()


def _dataset(options: argparse.Namespace) -> Dataset:
    """Load the data set that the last run made, or make it."""
    name = f"made-up-{options.users}" if options.data is None else options.data.name
    folder: Path = options.work / f"data-{name}"
    if not folder.exists():
        source, suffix = options.data, ".gz"
        if source is None:
            source, suffix = options.work / f"files-{name}", ""
            write_interactions(source, Size.of(options.users))
        items = source / f"{ITEMS}{suffix}"
        with written_whole(folder) as part:
            ingest(
                source / f"{INTERACTIONS}{suffix}",
                items=items if items.exists() else None,
                out=part,
            )
    return Dataset.load(folder)


def _slug(name: str, config: SurrogateConfig, influence: InfluenceConfig) -> str:
    """The folder of a row, which differs where the options differ."""
    told = json.dumps([config.model_dump(mode="json"), influence.model_dump(mode="json")])
    return f"{name.replace(' ', '-')}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


class _Epochs(Silent):
    def point(self, name: str, step: int, value: float) -> None:
        if name == "loss":
            print(f"  {time.strftime('%H:%M:%S')} epoch {step}, loss {value:.4f}", flush=True)


def _make(
    folder: Path,
    dataset: Dataset,
    samples: Samples,
    config: SurrogateConfig,
    influence: InfluenceConfig,
) -> None:
    print(f"{folder.name}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    runtime = Runtime(threads=1, device="cpu")
    spent = folder / "seconds.json"
    before = json.loads(spent.read_text()) if spent.exists() else 0.0
    started = time.process_time()

    class Clock(_Epochs):
        def point(self, name: str, step: int, value: float) -> None:
            spent.write_text(json.dumps(before + time.process_time() - started))
            super().point(name, step, value)

    trained = train_surrogate(
        dataset, config, checkpoint_dir=folder, runtime=runtime, reporter=Clock()
    )
    training = before + time.process_time() - started
    started = time.process_time()
    scores = score_influence(dataset, samples, trained, influence, runtime=runtime).scores
    np.save(folder / "scores.npy", scores)
    facts = {
        "metrics": trained.metrics,
        "training": training,
        "influence": time.process_time() - started,
    }
    (folder / "row.json").write_text(json.dumps(facts))


def _row(name: str, folder: Path) -> Row:
    facts = json.loads((folder / "row.json").read_text())
    return Row(name, np.load(folder / "scores.npy"), **facts)


def _table(rows: dict[str, Row], dataset: Dataset, samples: Samples) -> list[Target]:
    whole = rows[WHOLE]
    trained = int((dataset.splits == SPLIT_CODES[Split.TRAIN]).sum())
    budgets = [max(1, round(share * len(samples))) for share in BUDGETS]
    kept = {
        name: [_coreset(row, samples, dataset, b) for b in budgets] for name, row in rows.items()
    }
    print(f"{len(samples):,} samples, {trained:,} interactions, coresets of {budgets}")
    print(
        f"{'surrogate':20} {'read':>6} {'Spearman':>9} {'overlaps':>14} "
        f"{'Recall@20':>9} {'NDCG@10':>8} {'training s':>10} {'influence s':>11}"
    )
    targets = []
    for name, row in rows.items():
        agreement = spearman(row.scores, whole.scores) or 0.0
        overlaps = [_overlap(*pair) for pair in zip(kept[name], kept[WHOLE], strict=True)]
        read = row.metrics.get("trained_interactions", trained) * row.metrics["epochs"]
        share = read / (trained * whole.metrics["epochs"])
        shown = " / ".join(f"{one:.3f}" for one in overlaps)
        recall, ndcg = (row.metrics.get(metric, float("nan")) for metric in _METRICS)
        print(
            f"{name:20} {share:6.1%} {agreement:9.3f} {shown:>14} {recall:9.4f} {ndcg:8.4f} "
            f"{row.training:10.1f} {row.influence:11.1f}"
        )
        targets += [
            Target(f"{name}: Spearman", "-", agreement, None),
            *(
                Target(f"{name}: overlap at {budget}", "-", overlap, None)
                for budget, overlap in zip(budgets, overlaps, strict=True)
            ),
            Target(f"{name}: training, seconds", "-", row.training, None),
        ]
    by_chance = [budget / (2 * len(samples) - budget) for budget in budgets]
    print(f"overlaps of random coresets: {' / '.join(f'{one:.3f}' for one in by_chance)}")
    return targets


def _coreset(row: Row, samples: Samples, dataset: Dataset, budget: int) -> set[int]:
    scores = Scores(
        samples.keys(dataset),
        row.scores,
        None,
        targets=samples.targets,
        history_lengths=samples.history_lengths,
        times=samples.target_times,
        day=samples.day,
    )
    return set(select(scores, budget, SelectionConfig()).indices.tolist())


def _overlap(first: set[int], second: set[int]) -> float:
    return len(first & second) / len(first | second)


if __name__ == "__main__":
    main()
