"""Is there anything to learn? Untrained, trained on all that can be afforded, and the surrogate.

``python -m benchmarks.headroom --data FOLDER --work WORK``; ``FOLDER`` has ``interactions.csv.gz`` and
``items.csv.gz``. One thread. A comparison of selectors can only show something on a set-up in which
training on everything beats the untrained model in preference. States, trainings and figures are kept in
``WORK``: a run that was stopped goes on. The last line is JSON with the differences and their intervals.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._report import device_text
from dealrec.config import (
    DataOptions,
    EvaluationConfig,
    FinetuneConfig,
    PromptConfig,
    Sampling,
    SplitMethod,
    SurrogateConfig,
)
from dealrec.config.finetune import EncoderSoftmax, HistoryVector, Pooling
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter
from dealrec.data.samples import Samples, build_samples, held_out_samples
from dealrec.disk import written_whole
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models.loading import load_language_model
from dealrec.metrics.crossed import Estimate, estimate
from dealrec.metrics.preference import AUC_ADJ, PREFERENCE, preference_metrics
from dealrec.metrics.ranking import CHUNK_ELEMENTS, METRICS, pad, user_metrics
from dealrec.progress import Reporter
from dealrec.recommenders.held_out import HeldOutUsers, held_out_users
from dealrec.recommenders.registry import make_recommender
from dealrec.runtime import apply_runtime
from dealrec.surrogates.training import train_surrogate
from dealrec.terminal import stage_display

HR = "recall@10"
SHOWN = (PREFERENCE, AUC_ADJ, HR)
"""Recall@10 is the hit rate where each user has one answer, as with ``leave_one_out``."""
Users = dict[str, np.ndarray[Any, Any]]
"""The figures of every user, by metric."""


@dataclass(frozen=True)
class SetUp:
    """A set-up in which something may be learned."""

    data: str
    split: str
    held_out: str
    users: int
    recommender: str
    layers: int | None
    epochs: int
    batch_size: int
    learning_rate: float
    temperature: float
    dimensions: int
    pooling: str
    history: str
    softmax: str
    history_items: int
    title_characters: int
    noun: str
    seed: int


@dataclass(frozen=True)
class Row:
    """The figures of one model: of every user, and how long training and reading took."""

    name: str
    users: Users
    seconds: float

    def means(self) -> dict[str, Estimate]:
        """The shown metrics with their intervals over users."""
        return {name: estimate(self.users[name][None]) for name in SHOWN}


def main() -> None:
    """Print the table, and the differences as the last line."""
    options = _options()
    sizes = [int(text) for text in options.samples.split(",")]
    work = options.work / options.data.name
    setup = SetUp(
        **{name: getattr(options, name) for name in SetUp.__annotations__ if name != "data"},
        data=options.data.name,
    )
    apply_runtime(Runtime(threads=1))
    with stage_display() as stages:
        rows = measure(setup, sizes, options.data, work, stages("headroom"))
    print(table(setup, rows))
    print(json.dumps(summary(setup, rows)))


def measure(
    setup: SetUp, sizes: list[int], data: Path, work: Path, reporter: Reporter
) -> list[Row]:
    """Measure the untrained model, a training on each of ``sizes`` samples, and the surrogate."""
    dataset = _dataset(data, work / setup.split, SplitMethod(setup.split))
    prompt = PromptConfig(
        item_noun=setup.noun,
        history_items=setup.history_items,
        title_characters=setup.title_characters,
    )
    evaluation = EvaluationConfig.model_validate(
        {"split": setup.held_out, "users": setup.users, "ranking_users": setup.users, "beams": 1}
    )
    users = held_out_users(dataset, prompt, evaluation)
    kept = work / "figures"
    models = _Models(setup, dataset, users, evaluation, prompt, work, reporter)
    rows = []
    for size in (0, *sizes):
        name = "untrained" if size == 0 else f"{size:,} samples"
        asked = asdict(setup) | {"samples": size}
        rows.append(_kept(kept, name, asked, partial(models.trained_on, size)))
    read = ("held_out", "users", "title_characters")
    asked = {"data": dataset.sha256, **{name: getattr(setup, name) for name in read}}
    train = partial(_surrogate, dataset, users, setup, work / "surrogate", reporter)
    return [*rows, _kept(kept, "surrogate", asked, train)]


class _Models:
    """The language model, loaded once and only if a figure is missing."""

    def __init__(
        self,
        setup: SetUp,
        dataset: Dataset,
        users: HeldOutUsers,
        evaluation: EvaluationConfig,
        prompt: PromptConfig,
        work: Path,
        reporter: Reporter,
    ) -> None:
        self._setup, self._dataset, self._users = setup, dataset, users
        self._evaluation, self._prompt, self._work = evaluation, prompt, work
        self._reporter = reporter
        self._config = FinetuneConfig.model_validate(
            {
                "recommender": setup.recommender,
                "epochs": setup.epochs,
                "batch_size": setup.batch_size,
                "learning_rate": setup.learning_rate,
                "lora": {"last_layers": setup.layers, "dropout": 0.0},
                "encoder": {
                    "dimensions": setup.dimensions,
                    "temperature": setup.temperature,
                    "pooling": setup.pooling,
                    "history": setup.history,
                    "softmax": setup.softmax,
                    "learning_rate": setup.learning_rate,
                },
                "seed": setup.seed,
            }
        )
        self._made: Any = None

    def trained_on(self, size: int) -> tuple[Users, float]:
        """Train on the first ``size`` of all samples in a random order, and measure; 0 trains nothing."""
        recommender, examination = self._recommender()
        recommender.keep(examination.texts, self._reporter)
        if size == 0:
            return examination.measure().users, 0.0
        samples = self._samples(size)
        recommender.keep(recommender.texts(samples), self._reporter)
        started = time.perf_counter()
        training = LoraTraining(recommender, samples, self._config)
        try:
            while not training.finished:
                training.advance()
                self._reporter.progress(training.step, training.schedule.steps, "step")
            seconds = time.perf_counter() - started
            print(f"loss {training.losses[0]:.3f} -> {training.train_loss:.3f}", flush=True)
            return examination.measure(training.model).users, seconds
        finally:
            training.detach()

    def _recommender(self) -> Any:
        if self._made is None:
            loaded = load_language_model(self._config.model, dtype="float32", device="cpu")
            recommender = make_recommender(
                loaded, self._config, self._work / "states", 2048, titles=self._users.titles
            )
            examination = recommender.examination(
                self._dataset, self._users, self._evaluation, reporter=self._reporter
            )
            self._made = recommender, examination
        return self._made

    def _samples(self, size: int) -> list[Any]:
        every = build_samples(self._dataset, Sampling.PER_INTERACTION)
        order = np.random.default_rng(0).permutation(len(every))[:size]
        prompter = Prompter(self._dataset, every, self._prompt)
        return [prompter.prompt(int(index)) for index in order]


def _surrogate(
    dataset: Dataset, users: HeldOutUsers, setup: SetUp, checkpoints: Path, reporter: Reporter
) -> tuple[Users, float]:
    """Train the default surrogate on all data, and ask it about the same candidates."""
    started = time.perf_counter()
    trained = train_surrogate(
        dataset, SurrogateConfig(), checkpoint_dir=checkpoints, reporter=reporter
    )
    seconds = time.perf_counter() - started
    asked = held_out_samples(dataset, users.split, setup.users)
    assert isinstance(asked, Samples)
    losses, ranks = [], []
    size = max(1, CHUNK_ELEMENTS // dataset.n_items)
    for first in range(0, len(asked), size):
        rows = range(first, min(first + size, len(asked)))
        histories = [asked.history(row, trained.model.max_length) for row in rows]
        sequences, lengths = pad(histories, dataset.n_items)
        with torch.no_grad():
            scores = trained.model.scores(sequences, lengths)
        places = torch.from_numpy(users.candidates[rows.start : rows.stop].astype(np.int64))
        losses.append(-scores.log_softmax(1).gather(1, places).double().numpy())
        part = slice(rows.start, rows.stop)
        ranks.append(user_metrics(scores.clone(), users.histories[part], users.answers[part]))
    titles = users.titles.of_item[users.candidates]
    ranked = dict(zip(METRICS, np.concatenate(ranks).T, strict=True))
    return preference_metrics(np.concatenate(losses), titles) | ranked, seconds


def _kept(
    folder: Path, name: str, asked: dict[str, Any], make: Callable[[], tuple[Users, float]]
) -> Row:
    """Return the figures that were kept under this question, or make and keep them."""
    digest = hashlib.sha256(json.dumps([name, asked], sort_keys=True).encode()).hexdigest()
    path = folder / f"{digest[:24]}.json"
    if not path.is_file():
        users, seconds = make()
        content = {
            "name": name,
            "asked": asked,
            "seconds": seconds,
            "users": {metric: users[metric].tolist() for metric in (*SHOWN, "gain")},
        }
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as unfinished:
            unfinished.write_text(json.dumps(content))
    found = json.loads(path.read_text())
    row = Row(name, {k: np.array(v) for k, v in found["users"].items()}, found["seconds"])
    print(
        f"{name}: { {metric: round(x.mean, 4) for metric, x in row.means().items()} }", flush=True
    )
    return row


def _dataset(data: Path, folder: Path, split: SplitMethod) -> Dataset:
    if not (folder / "dataset.json").is_file():
        options = DataOptions(split=None if split is SplitMethod.COLUMN else split)
        ingest(
            data / "interactions.csv.gz", items=data / "items.csv.gz", options=options, out=folder
        )
    return Dataset.load(folder)


def summary(setup: SetUp, rows: list[Row]) -> dict[str, Any]:
    """Each training less the untrained model in preference, with its interval over users."""
    untrained = next(row for row in rows if row.name == "untrained")
    differences = {}
    for row in rows:
        if row is not untrained:
            found = estimate((row.users[PREFERENCE] - untrained.users[PREFERENCE])[None])
            differences[row.name] = [round(float(value), 4) for value in found]
    return {"setup": asdict(setup), "preference less untrained": differences}


def table(setup: SetUp, rows: list[Row]) -> str:
    """A Markdown table of all models."""
    facts = [setup.data, setup.split, setup.held_out, setup.recommender, f"layers {setup.layers}"]
    lines = [
        ", ".join([*facts, f"{setup.epochs} epochs", device_text()]),
        "",
        "| trained on | preference | auc_adj | HR@10 | seconds |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"{x.mean:.3f} [{x.low:.3f}, {x.high:.3f}]" for x in row.means().values()]
        lines.append(f"| {row.name} | {' | '.join(cells)} | {row.seconds:.0f} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--split", default="leave_one_out", choices=[*SplitMethod])
    parser.add_argument("--held-out", default="test", choices=["valid", "test"])
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--samples", default="512,2048,8192", help="sizes of trainings, by commas")
    parser.add_argument("--recommender", default="encoder")
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--temperature", type=float, default=0.2)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--pooling", default="mean", choices=[*Pooling])
    parser.add_argument("--history", default="titles", choices=[*HistoryVector])
    parser.add_argument("--softmax", default="batch", choices=[*EncoderSoftmax])
    parser.add_argument("--history-items", type=int, default=10)
    parser.add_argument("--title-characters", type=int, default=60)
    parser.add_argument("--noun", default="item")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
