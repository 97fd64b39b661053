"""Can a comparison see a difference that is there? Coresets with a planted difference, against random.

``python -m benchmarks.planted --data FOLDER --work WORK``; ``FOLDER`` has ``interactions.csv.gz`` and
``items.csv.gz``. The set-up is that of ``benchmarks/PROTOCOL.md``; validation users are asked. Every
planted coreset is trained on in many runs, and so is a random one of the same size in the same runs.
Power is the share of smaller comparisons, of a few of these runs and one half of the users, that show the
difference. What is trained is kept in ``WORK``, so that a run that was stopped goes on. The last line is
JSON.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks._encoder import Floats, TrainedEncoder, protocol_finetune, protocol_prompt
from benchmarks._report import Target, device_text, finish
from dealrec.comparison.training import exchange_histories
from dealrec.config import DataOptions, FinetuneConfig, HeldOut, SplitMethod
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import build_samples, held_out_samples
from dealrec.disk import written_whole
from dealrec.metrics.crossed import Difference, paired
from dealrec.progress import Reporter
from dealrec.runtime import apply_runtime
from dealrec.terminal import stage_display

COMPARISONS = 1000
"""How many smaller comparisons the power is the share of."""
WANTED_POWER = 0.9
SIZES = (5, 8)
"""Runs of a smaller comparison: the default of ``dealrec compare``, and that of the protocol."""


@dataclass(frozen=True)
class Plant:
    """A kind of coreset that differs from a random one in a known way."""

    name: str
    exchanged: float = 0.0
    """The share of its samples whose histories are exchanged among each other: 1 leaves no taste."""
    of_asked: bool = False
    """Whether its samples are of the very users who are asked; their answers are not among them."""
    seed: int = 0
    """What parts its draws from those of the other plants."""


RANDOM = Plant("random")
PLANTS = (
    Plant("another random draw", seed=1),
    Plant("of the users who are asked", of_asked=True),
    *(Plant(f"{share:.0%} of histories exchanged", exchanged=share) for share in (0.1, 0.25, 0.5)),
    Plant("all histories exchanged", exchanged=1.0),
)


@dataclass(frozen=True)
class Asked:
    """What the figures of a training depend on beside its plant and run."""

    data: str
    noun: str
    budget: int
    users: int
    finetune: FinetuneConfig


class Instrument:
    """Trains and measures; the language model is loaded when a figure is missing."""

    def __init__(self, dataset: Dataset, asked: Asked, work: Path, reporter: Reporter) -> None:
        self._dataset, self._asked, self._work, self._reporter = dataset, asked, work, reporter
        self._samples = build_samples(dataset)
        self._prompter = Prompter(dataset, self._samples, protocol_prompt(asked.noun))
        self._encoder = TrainedEncoder(
            dataset,
            noun=asked.noun,
            finetune=asked.finetune,
            split=HeldOut.VALID,
            users=asked.users,
            states=work / "states",
            reporter=reporter,
        )

    def figures(self, plant: Plant, runs: int) -> Floats:
        """Return [runs, users] preference after training on a coreset of ``plant`` in each run."""
        return np.stack([self._kept(plant, run) for run in range(runs)])

    def _kept(self, plant: Plant, run: int) -> Floats:
        facts = [asdict(plant), run, self._dataset.sha256, repr(self._asked)]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
        path = self._work / "figures" / f"{digest}.npy"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as part, part.open("wb") as file:
                np.save(file, self._encoder.preference(self._coreset(plant, run), run))
        found: Floats = np.load(path)
        self._reporter.event("run", plant=plant.name, run=run, preference=float(found.mean()))
        return found

    def _coreset(self, plant: Plant, run: int) -> list[PromptedSample]:
        pool = np.arange(len(self._samples))
        if plant.of_asked:
            pool = np.flatnonzero(np.isin(self._samples.users, self._asked_users))
        draw = np.random.default_rng([plant.seed, run, *plant.name.encode()])
        chosen = draw.permutation(pool)[: self._asked.budget]
        prompts = [self._prompter.prompt(int(index)) for index in chosen]
        count = round(plant.exchanged * len(prompts))
        return [*exchange_histories(prompts[:count], run), *prompts[count:]]

    @property
    def _asked_users(self) -> Sequence[int]:
        held_out = held_out_samples(self._dataset, self._encoder.users.split, self._asked.users)
        assert held_out is not None
        users: list[int] = held_out.users.tolist()
        return users


def power(first: Floats, second: Floats, runs: int) -> float:
    """Return the share of comparisons of ``runs`` runs and half the users that show a difference."""
    draw = np.random.default_rng(runs)
    count, users = first.shape

    def shown() -> bool:
        rows = draw.permutation(count)[:runs]
        columns = draw.permutation(users)[: users // 2]
        part = np.ix_(rows, columns)
        return paired(first[part], second[part]).shown

    return sum(shown() for _ in range(COMPARISONS)) / COMPARISONS


def measure(instrument: Instrument, plants: Sequence[Plant], runs: int) -> list[Target]:
    """Print the table of all plants; the target is the power for the strongest plant."""
    random = instrument.figures(RANDOM, runs)
    print(f"random: preference {random.mean():.4f}\n")
    print("| coreset | less random | interval | " + _heads("power, {} runs") + " |")
    print("|---|---|---|" + "---|" * len(SIZES))
    targets = []
    for plant in plants:
        figures = instrument.figures(plant, runs)
        found: Difference = paired(figures, random)
        powers = [power(figures, random, size) for size in SIZES]
        cells = [plant.name, f"{found.mean:+.4f}", f"[{found.low:+.4f}, {found.high:+.4f}]"]
        print(f"| {' | '.join([*cells, *(f'{one:.3f}' for one in powers)])} |", flush=True)
        if plant.exchanged == 1:
            targets += [
                Target(
                    f"{plant.name}, {size} runs: power",
                    f">= {WANTED_POWER}",
                    one,
                    one >= WANTED_POWER,
                )
                for size, one in zip(SIZES, powers, strict=True)
            ]
    return targets


def _heads(text: str) -> str:
    return " | ".join(text.format(size) for size in SIZES)


def main() -> None:
    """Train what is missing, print the table, and say whether planted differences are seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--noun", default="item", help="what an item is called in prompts")
    parser.add_argument("--budget", type=int, default=512)
    parser.add_argument("--users", type=int, default=2000, help="half of them are asked at a time")
    parser.add_argument("--runs", type=int, default=24)
    options = parser.parse_args()
    apply_runtime(Runtime(threads=1))
    asked = Asked(
        options.data.name, options.noun, options.budget, options.users, protocol_finetune()
    )
    work = options.work / options.data.name
    with stage_display() as stages:
        instrument = Instrument(
            _dataset(options.data, work / "data"), asked, work, stages("planted")
        )
        print(
            f"{options.data.name}, {options.budget} samples, {options.runs} runs, {device_text()}"
        )
        targets = measure(instrument, PLANTS, options.runs)
    finish("planted", targets)


def _dataset(data: Path, folder: Path) -> Dataset:
    if not (folder / "dataset.json").is_file():
        leave_one_out = DataOptions(split=SplitMethod.LEAVE_ONE_OUT)
        files = data / "interactions.csv.gz", data / "items.csv.gz"
        ingest(files[0], items=files[1], options=leave_one_out, out=folder)
    return Dataset.load(folder)


if __name__ == "__main__":
    main()
