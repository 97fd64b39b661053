"""Trains a LoRA adapter on the members of a coreset."""

import json
from pathlib import Path
from typing import TypedDict

from dealrec.config import PromptConfig
from dealrec.config.stages import StageName
from dealrec.coresets.members import read_members
from dealrec.coresets.writer import MANIFEST, MEMBERS
from dealrec.data.prompter import shown_titles
from dealrec.disk import file_sha256
from dealrec.finetune.training import finetune
from dealrec.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Write the PEFT folder; the details are what the adapter's row shows.

    A recommender that learns from the catalogue gets its titles as the coreset's samples have them.
    """
    coreset = context.inputs[StageName.SELECT]
    manifest = json.loads((coreset / MANIFEST).read_text())
    prompt = PromptConfig.parse(manifest["config"]["prompt"])
    assert context.config.finetune is not None
    titles = None
    if context.config.finetune.entry.needs_catalogue and context.dataset != Path():
        titles = shown_titles(context.load_dataset(), prompt)
    result = finetune(
        read_members(coreset / MEMBERS, prompt.format),
        context.config.finetune,
        out=context.out,
        titles=titles,
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
