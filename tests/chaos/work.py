"""The jobs that the service gets while it is disturbed, and the results that they must have."""

import hashlib
import itertools
import json
import random
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dealrec.config.runtime import Runtime
from dealrec.data.synthetic import write_sample_data
from dealrec.pipeline import prune

_SIZES = {"small": (200, 60), "tiny": (40, 30)}
"""Users and items of the data sets."""
_WITH_MODELS: list[dict[str, Any]] = [
    {},
    {
        "effort": {"batch_tokens": 512, "shard_samples": 14},
        "selection": {"effort_weight": 0.3},
        "finetune": {"batch_size": 2, "checkpoint_steps": 1},
        "evaluation": {"users": 10, "ranking_users": 2},
    },
    {
        "embedding": {"source": "language_model", "batch_tokens": 512},
        "selection": {"method": "d2", "difficulty": "grand"},
    },
    {
        "gradients": {"batch_tokens": 512, "dimension": 64},
        "selection": {"method": "gradient_match"},
    },
    {
        "finetune": {"recommender": "encoder", "lora": {"last_layers": 0}, "checkpoint_steps": 1},
        "evaluation": {"users": 10, "ranking_users": 10},
    },
]
"""Stages of jobs besides surrogate, influence and select: sharded effort, fine-tuning and evaluation;
difficulty and embedding; gradients; training and evaluation of an encoder."""


@dataclass(frozen=True)
class Work:
    """One job to be posted."""

    name: str
    data: str
    budget: int
    config: dict[str, Any]
    own_upload: bool
    """Whether the job brings its own copy of the data (``POST /v1/prune``): one more ingest."""

    @property
    def key(self) -> str:
        """The same for jobs that must give the same coreset."""
        parts = json.dumps([self.data, self.budget, self.config], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """Hashes of what a job makes when nobody disturbs it."""

    coreset: str
    adapter: str | None
    """The hash of the adapter's weights."""


def draw_work(seed: int, *, models: bool = True) -> Iterator[Work]:
    """Jobs without end. A third repeats an earlier one; with ``models``, most others use the LLM.

    Together they have every stage but that of comparisons.
    """
    draw = random.Random(seed)
    made: list[Work] = []
    kinds = itertools.cycle(_WITH_MODELS if models else [{}])
    for number in itertools.count(1):
        if made and draw.random() < 1 / 3:
            earlier = draw.choice(made)
            data, budget, config = earlier.data, earlier.budget, earlier.config
        else:
            own = next(kinds)
            data, budget = ("tiny", 8) if own else ("small", draw.randint(8, 40))
            config = _config(draw)
            config |= {**own, "selection": {**config["selection"], **own.get("selection", {})}}
        work = Work(f"work-{number}", data, budget, config, draw.random() < 0.25)
        made.append(work)
        yield work


def _config(draw: random.Random) -> dict[str, Any]:
    return {
        "effort": None,
        "surrogate": {
            "epochs": draw.randint(20, 80),
            "patience": 80,
            "hidden_size": 8,
            "heads": 1,
            "layers": 1,
            "max_length": 10,
            "seed": draw.randint(0, 1_000_000),
        },
        "influence": {"max_iterations": 200, "tolerance": 1e-6},
        "selection": {"strata": draw.choice([5, 10]), "seed": draw.randint(0, 3)},
    }


def data_files(folder: Path, data: str) -> tuple[Path, Path]:
    """Interactions and items of one of the data sets, written on the first call."""
    target = folder / data
    if not target.exists():
        users, items = _SIZES[data]
        write_sample_data(target, users=users, items=items)
    return target / "interactions.csv", target / "items.csv"


def weights_sha256(files: Iterable[Path]) -> str:
    """The hash of an adapter's weights, which are in one file or two."""
    contents = [path.read_bytes() for path in sorted(files, key=lambda path: path.name)]
    return hashlib.sha256(b"".join(contents)).hexdigest()


class Undisturbed:
    """The same jobs in this process, with the library alone; each kind once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Outcome] = {}

    def __call__(self, work: Work) -> Outcome:
        if work.key not in self._known:
            self._known[work.key] = self._compute(work)
        return self._known[work.key]

    def _compute(self, work: Work) -> Outcome:
        interactions, items = data_files(self.folder, work.data)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            result = prune(
                interactions,
                items=items,
                budget=work.budget,
                out=Path(scratch) / "out",
                config=work.config,
                runtime=Runtime(threads=1, device="cpu"),
            )
            adapter = None
            if result.adapter is not None:
                adapter = weights_sha256(result.adapter.glob("*.safetensors"))
            return Outcome(result.coreset.sha256, adapter)
