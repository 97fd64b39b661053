"""Where a surrogate's training stands, on disk: enough to go on as if it had never stopped."""

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dealrec.checkpoints import CheckpointFile
from dealrec.config import SurrogateConfig
from dealrec.progress import Reporter

_FILE = "surrogate.pt"


@dataclass(frozen=True)
class Checkpoint:
    """After as many epochs as ``history`` has rows. Random numbers follow from the epoch alone."""

    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    history: list[dict[str, float]]
    best_epoch: int
    best_model: dict[str, Tensor]
    seconds: float
    """Spent on training so far."""


def training_fingerprint(config: SurrogateConfig, dataset_sha256: str) -> str:
    """SHA-256 over what a training computes from: a checkpoint of another one is not resumed."""
    parts = [config.model_dump(mode="json"), dataset_sha256]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def checkpoint_file(folder: Path, reporter: Reporter) -> CheckpointFile:
    """Where a training in ``folder`` is kept."""
    return CheckpointFile(folder / _FILE, reporter)


def write_checkpoint(file: CheckpointFile, fingerprint: str, checkpoint: Checkpoint) -> None:
    """In place of the one before."""
    values = [getattr(checkpoint, field.name) for field in fields(checkpoint)]
    file.write(lambda content: torch.save([fingerprint, *values], content))


def read_checkpoint(folder: Path, fingerprint: str, device: torch.device) -> Checkpoint | None:
    """The folder's checkpoint; ``None`` without one, or where it belongs to another training."""
    path = folder / _FILE
    if not path.is_file():
        return None
    written_for, *values = torch.load(path, map_location=device, weights_only=True)
    return Checkpoint(*values) if written_for == fingerprint else None
