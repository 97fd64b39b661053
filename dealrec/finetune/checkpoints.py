"""Where a training stands, on disk: enough to go on exactly as if it had never stopped."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import torch

from dealrec.checkpoints import CheckpointFile
from dealrec.config.finetune import FinetuneConfig
from dealrec.data.prompts import PromptedSample
from dealrec.progress import Reporter

_FILE = "finetune.pt"


@dataclass(frozen=True)
class Checkpoint:
    """After ``step`` optimizer steps."""

    step: int
    losses: list[float]
    """Of each step so far."""
    adapter: dict[str, torch.Tensor]
    optimizer: dict[str, Any]


def training_fingerprint(
    config: FinetuneConfig, revision: str, examples: Sequence[PromptedSample]
) -> str:
    """SHA-256 over what a training computes from: a checkpoint of another one is not resumed.

    How often checkpoints are written is left out: it changes no result.
    """
    settings = config.model_dump(mode="json", exclude={"checkpoint_steps"})
    digest = hashlib.sha256(json.dumps([settings, revision], sort_keys=True).encode())
    for example in examples:
        texts = [example.instruction, example.input, example.output]
        digest.update(json.dumps(texts).encode() + b"\n")
    return digest.hexdigest()


def checkpoint_file(folder: Path, reporter: Reporter) -> CheckpointFile:
    """Where a training in ``folder`` is kept."""
    return CheckpointFile(folder / _FILE, reporter)


def write_checkpoint(file: CheckpointFile, fingerprint: str, checkpoint: Checkpoint) -> None:
    """In place of the one before."""
    fields = [getattr(checkpoint, field.name) for field in dataclass_fields(checkpoint)]
    file.write(lambda content: torch.save([fingerprint, *fields], content))


def read_checkpoint(folder: Path, fingerprint: str, device: torch.device) -> Checkpoint | None:
    """The folder's checkpoint; ``None`` without one, or where it belongs to another training."""
    path = folder / _FILE
    if not path.is_file():
        return None
    written_for, *fields = torch.load(path, map_location=device, weights_only=True)
    return Checkpoint(*fields) if written_for == fingerprint else None
