"""Keeps trained runs on disk, so that an interrupted comparison continues with the next run."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from dealrec.comparison.runs import SelectedRun, TrainedRun
from dealrec.config.comparison import ComparisonConfig
from dealrec.disk import written_whole
from dealrec.recommenders.interface import Measurement

_UNTRAINED = "untrained users\n"


class KeptRuns:
    """The trained runs of one comparison in ``folder``. Without a folder nothing is kept.

    Runs in the folder ``further`` are read as well.

    The name of a file depends on the data, the model and the configuration, so runs of another comparison
    are not read.
    """

    def __init__(
        self,
        folder: Path | None,
        config: ComparisonConfig,
        dataset_sha256: str,
        revision: str,
        *,
        further: Path | None = None,
    ) -> None:
        self._folder = folder
        self._read_from = [one for one in (folder, further) if one is not None]
        assert config.config.finetune is not None
        asked = config.config.model_dump(
            mode="json", include={"sampling", "min_history", "prompt", "evaluation"}
        )
        parts = [asked | {"finetune": config.config.finetune.record()}, dataset_sha256, revision]
        self._shared = json.dumps(parts, sort_keys=True)

    def read(self, run: SelectedRun) -> TrainedRun | None:
        """Return the trained run; ``None`` if it has not been trained."""
        kept = self._read(self._name(run))
        if kept is None:
            return None
        return TrainedRun(
            selected=run,
            measurement=_measurement(kept),
            train_loss=kept["train_loss"],
            steps=kept["steps"],
            tokens=kept["tokens"],
            seconds=kept["finetune_seconds"],
        )

    def write(self, run: TrainedRun) -> None:
        """Keep a run."""
        content = {
            **_content(run.measurement),
            "train_loss": run.train_loss,
            "steps": run.steps,
            "tokens": run.tokens,
            "finetune_seconds": run.seconds,
        }
        self._write(self._name(run.selected), content)

    def read_untrained(self) -> Measurement | None:
        """Return the figures of the model without an adapter; ``None`` if they are not kept."""
        kept = self._read(_UNTRAINED)
        return None if kept is None else _measurement(kept)

    def write_untrained(self, measured: Measurement) -> None:
        """Keep the figures of the model without an adapter."""
        self._write(_UNTRAINED, _content(measured))

    @staticmethod
    def _name(run: SelectedRun) -> str:
        return f"{run.selector}\n{run.budget}\n{run.number}\n{run.sha256}"

    def _path(self, folder: Path, name: str) -> Path:
        digest = hashlib.sha256(f"{self._shared}\n{name}".encode())
        return folder / f"{digest.hexdigest()[:32]}.json"

    def _read(self, name: str) -> dict[str, Any] | None:
        for folder in self._read_from:
            if (path := self._path(folder, name)).is_file():
                found: dict[str, Any] = json.loads(path.read_text())
                return found
        return None

    def _write(self, name: str, content: dict[str, Any]) -> None:
        if self._folder is not None:
            with written_whole(self._path(self._folder, name)) as unfinished:
                unfinished.write_text(json.dumps(content))


def _content(measured: Measurement) -> dict[str, Any]:
    users = {name: values.tolist() for name, values in measured.users.items()}
    return {"users": users, "evaluate_seconds": measured.seconds}


def _measurement(kept: dict[str, Any]) -> Measurement:
    users = {name: np.array(values) for name, values in kept["users"].items()}
    return Measurement(users, kept["evaluate_seconds"])
