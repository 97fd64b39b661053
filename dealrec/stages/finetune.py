"""Trains a LoRA adapter on the members of a coreset."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from dealrec.config import FinetuneConfig, PromptConfig, PruneConfig
from dealrec.config.finetune import ValidationSettings, Which, no_validation_split
from dealrec.config.stages import StageName
from dealrec.coresets.members import read_members
from dealrec.coresets.writer import MANIFEST, MEMBERS
from dealrec.data.dataset import Int64
from dealrec.data.prompter import Prompter, shown_titles
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import validation_samples
from dealrec.disk import file_sha256
from dealrec.finetune.training import finetune
from dealrec.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Write the PEFT folder; the details are what the adapter's row shows.

    A recommender that learns from the catalogue gets its titles as the coreset's samples have them, and
    held-out samples have the same prompt.
    """
    coreset = context.inputs[StageName.SELECT]
    manifest = json.loads((coreset / MANIFEST).read_text())
    config = context.config.finetune
    assert config is not None
    chosen = PruneConfig.parse(manifest["config"])
    users = {"validation_users": chosen.validation_users}
    context = replace(context, config=context.config.model_copy(update=users))
    titles, held_out = None, list[PromptedSample]()
    if config.entry.needs_catalogue and context.dataset != Path():
        titles = shown_titles(context.load_dataset(), chosen.prompt)
    if config.validation.samples:
        held_out = _held_out(context, config, chosen.prompt)
    result = finetune(
        read_members(coreset / MEMBERS, chosen.prompt.format),
        config,
        out=context.out,
        titles=titles,
        held_out=held_out,
        start=context.adapter,
        checkpoint_dir=context.checkpoint_dir,
        model_card={
            "coreset_sha256": manifest["sha256"],
            "dataset_sha256": manifest["dataset"]["sha256"],
        },
        runtime=context.runtime,
        reporter=context.reporter,
        pieces=context.pieces,
    )
    return StageResult({"revision": result.revision, "files": _files(context.out)}, result.metrics)


def _held_out(
    context: StageContext, config: FinetuneConfig, prompt: PromptConfig
) -> list[PromptedSample]:
    """Return validation samples in words; where users are halved, of those that selection looks at.

    Raises:
        InputError: ``no_validation_split``.
    """
    found = None
    if context.dataset != Path():
        dataset = context.load_dataset()
        found = validation_samples(dataset)
    if found is None:
        raise no_validation_split()
    prompter, wanted = Prompter(dataset, found, prompt), config.validation
    places = chosen_places(len(found), wanted, config.seed)
    return [prompter.prompt(int(place)) for place in places]


def chosen_places(count: int, wanted: ValidationSettings, seed: int) -> Int64:
    """Return the places, in order, of those of ``count`` held-out samples that are measured."""
    size = min(count, wanted.samples)
    if wanted.which is Which.SPREAD:
        return np.arange(size, dtype=np.int64) * count // size
    return np.sort(np.random.default_rng(seed).permutation(count)[:size])


class AdapterFile(TypedDict):
    """A file of the adapter, as the adapter's row lists it."""

    name: str
    bytes: int
    sha256: str


def _files(folder: Path) -> list[AdapterFile]:
    return [
        {"name": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in sorted(folder.iterdir())
    ]
