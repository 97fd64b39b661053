"""Trains a LoRA adapter on the members of a coreset."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealrec.config import FinetuneConfig, PromptConfig, PruneConfig
from dealrec.config.continuation import continuation_not_possible
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
from dealrec.stages.earlier import earlier_members


def run(context: StageContext) -> StageResult:
    """Write the PEFT folder. The details are the facts in the adapter's row.

    A recommender that learns from the catalogue gets the titles in the form that the coreset's samples
    have. Held-out samples have the same prompt.
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
    learned, told = _learned(context, read_members(coreset / MEMBERS, chosen.prompt.format))
    result = finetune(
        learned,
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
    details = {"revision": result.revision, "files": _files(context.out)}
    return StageResult(details, {**result.metrics, **told})


def _learned(
    context: StageContext, members: list[PromptedSample]
) -> tuple[list[PromptedSample], dict[str, float]]:
    """Return the members that are learned, and the numbers of new and of replayed ones.

    All members are learned, unless the training continues from an adapter with a ``replay`` below 1.

    Raises:
        InputError: ``continuation_not_possible`` where that leaves none.
    """
    going_on = context.continued
    if going_on is None or not going_on.replays:
        return members, {}
    earlier = earlier_members(context.earlier, *context.load_samples(None))
    keys = pq.read_table(context.inputs[StageName.SELECT] / MEMBERS, columns=["sample_key"])
    known = pc.is_in(keys["sample_key"], value_set=earlier.drop_null()).to_numpy()
    kept = np.flatnonzero(known)
    assert context.config.finetune is not None
    order = np.random.default_rng(context.config.finetune.seed).permutation(len(kept))
    chosen = ~known
    chosen[kept[order[: round(going_on.replay * len(kept))]]] = True
    if not chosen.any():
        raise continuation_not_possible(
            f"none of its {len(members):,} members is new and `continuation.replay` is {going_on.replay:g}, "
            "so the training has nothing to learn. Use a larger `replay`."
        )
    told = {"new_samples": float((~known).sum()), "replayed_samples": float(chosen[known].sum())}
    return [members[place] for place in np.flatnonzero(chosen)], told


def _held_out(
    context: StageContext, config: FinetuneConfig, prompt: PromptConfig
) -> list[PromptedSample]:
    """Return validation samples in words; if users are halved, only those of the half that selection uses.

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
    """Return the places, in order, of the held-out samples that are measured, out of ``count``."""
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
