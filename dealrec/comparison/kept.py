"""Finished runs on disk: a comparison that was stopped goes on with the next one."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config.comparison import ComparisonConfig
from dealrec.disk import written_whole
from dealrec.recommenders.bigrec import TrainedRun

if TYPE_CHECKING:
    from dealrec.comparison.running import Chosen

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RunFigures:
    """What a run left: its figures of every user, and of itself."""

    users: dict[str, Floats]
    """By metric, [U] or, of the ranking, [Q]."""
    train_loss: float
    steps: int
    tokens: int
    finetune_seconds: float
    evaluate_seconds: float

    @property
    def means(self) -> dict[str, float]:
        """Over users."""
        return {name: float(values.mean()) for name, values in self.users.items()}


class KeptRuns:
    """Runs by their identity in ``folder``; without one nothing is kept.

    A run of other data, another model or another configuration is not read: all of these are in the
    name of its file.
    """

    def __init__(
        self, folder: Path | None, config: ComparisonConfig, dataset_sha256: str, revision: str
    ) -> None:
        self._folder = folder
        asked = config.config.model_dump(
            mode="json", include={"sampling", "min_history", "prompt", "finetune", "evaluation"}
        )
        parts = [asked, dataset_sha256, revision]
        self._shared = json.dumps(parts, sort_keys=True)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def read(self, identity: str, coreset_sha256: str) -> RunFigures | None:
        """The figures of a run on this coreset; ``None`` where it has not been made."""
        path = self._path(identity, coreset_sha256)
        if path is None or not path.is_file():
            return None
        written = json.loads(path.read_text())
        users = {name: np.array(values) for name, values in written.pop("users").items()}
        return RunFigures(users, **written)

    def write(self, identity: str, coreset_sha256: str, run: TrainedRun) -> RunFigures:
        """Keep a run that has just been made."""
        figures = RunFigures(
            users=run.measured.users,
            train_loss=run.train_loss,
            steps=run.steps,
            tokens=run.tokens,
            finetune_seconds=run.seconds,
            evaluate_seconds=run.measured.seconds,
        )
        users = {name: values.tolist() for name, values in figures.users.items()}
        self._write(self._path(identity, coreset_sha256), {**vars(figures), "users": users})
        return figures

    def untrained(self) -> dict[str, float] | None:
        """Metrics of the model as it is, where they are kept."""
        path = self._path("untrained", "")
        if path is None or not path.is_file():
            return None
        found: dict[str, float] = json.loads(path.read_text())
        return found

    def write_untrained(self, metrics: dict[str, float]) -> dict[str, float]:
        """Keep them."""
        self._write(self._path("untrained", ""), metrics)
        return metrics

    def write_users(
        self, path: Path, figures: Sequence[RunFigures], chosen: Sequence["Chosen"]
    ) -> None:
        """Every run's figures by user as Parquet: a row a run, user and metric."""
        tables = []
        for run, found in zip(chosen, figures, strict=True):
            for metric, values in found.users.items():
                count = len(values)
                tables.append(
                    pa.table(
                        {
                            "selector": pa.repeat(run.selector, count),
                            "budget": pa.repeat(run.budget, count),
                            "run": pa.repeat(run.number, count),
                            "metric": pa.repeat(metric, count),
                            "user": pa.array(np.arange(count)),
                            "value": pa.array(values),
                        }
                    )
                )
        pq.write_table(pa.concat_tables(tables), path, compression="zstd")

    def _path(self, identity: str, coreset_sha256: str) -> Path | None:
        if self._folder is None:
            return None
        digest = hashlib.sha256(f"{self._shared}\n{identity}\n{coreset_sha256}".encode())
        return self._folder / f"{digest.hexdigest()[:32]}.json"

    @staticmethod
    def _write(path: Path | None, content: dict[str, Any]) -> None:
        if path is None:
            return
        with written_whole(path) as part:
            part.write_text(json.dumps(content))
