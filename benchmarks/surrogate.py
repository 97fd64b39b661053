"""How good and how fast is the surrogate? Against a padded loop, and against fixed figures.

``python -m benchmarks.surrogate --data FOLDER`` with ``interactions.csv.gz`` and ``items.csv.gz``:
an epoch beside the plain padded loop, the default configuration with three seeds, the evaluation.
``--table`` trains every surrogate with every loss instead, ``--best`` one model for longer.
"""

import argparse
import multiprocessing
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks._report import Target, finish, peak_memory_mib, timed
from benchmarks._surrogate_reference import PaddedEpoch
from dealrec.config import Split, SurrogateConfig, SurrogateLoss
from dealrec.config.runtime import Runtime
from dealrec.config.surrogate import SURROGATES
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.progress import SILENT
from dealrec.runtime import apply_runtime
from dealrec.surrogates.training import SurrogateTraining, train_surrogate

SEEDS = (0, 1, 2)
FULL_SOFTMAX_EPOCHS = 4
"""In the table: an epoch over the whole catalogue takes as long as ten over a sample of it."""
BEST: dict[str, Any] = {"negatives": 4096, "dropout": 0.4, "epochs": 24, "patience": 6}
"""The longer run: more negatives, more dropout, more epochs."""
METRICS = ("test_recall@20", "test_ndcg@10")


def main() -> None:
    """Print progress, a table, and the targets as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--table", action="store_true", help="every surrogate with every loss")
    mode.add_argument("--best", action="store_true", help="one model, without a time limit")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dealrec-bench-") as name:
        folder = Path(name)
        data, items = options.data / "interactions.csv.gz", options.data / "items.csv.gz"
        dataset = ingest(data, items=items, out=folder).dataset
        if options.table:
            finish("surrogate_table", _table(folder))
        elif options.best:
            finish("surrogate_best", _best(folder))
        else:
            apply_runtime(Runtime().on_one_thread())
            finish("surrogate", [*_epoch(dataset), *_default(dataset)])


def _epoch(dataset: Dataset) -> list[Target]:
    config = SurrogateConfig()
    training = SurrogateTraining(dataset, config, apply_runtime(Runtime().on_one_thread()), SILENT)
    reference = PaddedEpoch(dataset, config)
    training.train_pass(1)
    seconds = []
    for epoch in (2, 3, 4):
        with timed() as watch:
            training.train_pass(epoch)
        seconds.append(watch.seconds)
        print(f"an epoch {watch.seconds:.1f} s", flush=True)
    with timed() as plain:
        reference.run()
    print(f"the padded loop {plain.seconds:.1f} s", flush=True)
    ours = statistics.median(seconds)
    return [
        Target("an epoch, seconds", "-", ours, None),
        Target("the padded loop's epoch, seconds", "-", plain.seconds, None),
        _at_least("epoch: padded loop / ours", 8, plain.seconds / ours),
    ]


def _default(dataset: Dataset) -> list[Target]:
    runs = []
    for seed in SEEDS:
        trained = train_surrogate(dataset, SurrogateConfig(seed=seed))
        runs.append(trained.metrics)
        print(f"seed {seed}: {_line(trained.metrics)}", flush=True)
    training = SurrogateTraining(
        dataset, SurrogateConfig(), apply_runtime(Runtime().on_one_thread()), SILENT
    )
    training.model.load_state_dict(trained.model.state_dict())
    with timed() as evaluation:
        for split in (Split.VALID, Split.TEST):
            training.evaluate(split)
    recall, ndcg = (statistics.mean(run[name] for run in runs) for name in METRICS)
    slowest = max(run["seconds"] for run in runs)
    return [
        _at_least("test Recall@20, mean of 3 seeds", 0.029, recall),
        _at_least("test NDCG@10, mean of 3 seeds", 0.0102, ndcg),
        _at_most("seconds of the slowest of 3 seeds", 120, slowest),
        _at_most("evaluation of validation and test, seconds", 6, evaluation.seconds),
    ]


def _table(folder: Path) -> list[Target]:
    print(f"{'model':10} {'loss':16} {'epochs':>6} {'Recall@20':>16} {'NDCG@10':>16} {'s':>6} MiB")
    targets = []
    for model in SURROGATES:
        for loss in SurrogateLoss:
            options: dict[str, Any] = {"model": model, "loss": loss.value, "patience": 100}
            if loss is SurrogateLoss.FULL_SOFTMAX:
                if model != "sasrec":
                    continue
                options["epochs"] = FULL_SOFTMAX_EPOCHS
            metrics = _alone(folder, options)
            recall, ndcg = (
                f"{metrics[name]:.4f} ± {metrics[name + '_se']:.4f}" for name in METRICS
            )
            epochs = f"{metrics['best_epoch']:.0f}/{metrics['epochs']:.0f}"
            print(
                f"{model:10} {loss:16} {epochs:>6} {recall:>16} {ndcg:>16} "
                f"{metrics['seconds']:6.0f} {metrics['memory']:.0f}",
                flush=True,
            )
            targets += [
                Target(f"{model} {loss}: {name}", "-", metrics[name], None)
                for name in (*METRICS, "seconds", "memory")
            ]
    return targets


def _best(folder: Path) -> list[Target]:
    metrics = _alone(folder, BEST)
    print(f"{BEST}: {_line(metrics)}")
    return [Target(name, "-", metrics[name], None) for name in (*METRICS, "seconds")]


def _alone(folder: Path, options: dict[str, Any]) -> dict[str, float]:
    """The metrics of a training in a process of its own, and its peak ``memory`` in MiB."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_train, folder, options).result()


def _train(folder: Path, options: dict[str, Any]) -> dict[str, float]:
    metrics = train_surrogate(Dataset.load(folder), SurrogateConfig.parse(options)).metrics
    return {**metrics, "memory": peak_memory_mib()}


def _line(metrics: dict[str, float]) -> str:
    parts = [f"{name} {metrics[name]:.4f} ± {metrics[name + '_se']:.4f}" for name in METRICS]
    epochs = f"best epoch {metrics['best_epoch']:.0f} of {metrics['epochs']:.0f}"
    return f"{', '.join(parts)}, {epochs}, {metrics['seconds']:.0f} s"


def _at_least(name: str, target: float, measured: float) -> Target:
    return Target(name, f">= {target}", measured, measured >= target)


def _at_most(name: str, target: float, measured: float) -> Target:
    return Target(name, f"<= {target}", measured, measured <= target)


if __name__ == "__main__":
    main()
