"""Copies of a job's results in a folder that people chose, which may hold files of their own."""

import filecmp
import shutil
from pathlib import Path

from dealrec.config.stages import StageName
from dealrec.coresets.writer import MEMBERS
from dealrec.language_models.adapters import WEIGHTS
from dealrec.stages.context import EVALUATION
from dealrec.stages.workspace import Artifact, Workspace

ADAPTER = "adapter"


def publish(workspace: Workspace, name: StageName, artifact: Artifact, out: Path) -> None:
    """Copy a stage's files into ``out`` if people asked for them.

    An adapter and an evaluation that an earlier run left there are removed before the coreset or the
    adapter that they were made from is replaced.
    """
    adapter = out / ADAPTER
    match name:
        case StageName.SELECT:
            target, outdated = out, _differs(artifact.folder, out, MEMBERS)
        case StageName.FINETUNE:
            target, outdated = adapter, _differs(artifact.folder, adapter, WEIGHTS)
        case StageName.EVALUATE:
            target, outdated = out, False
        case _:
            return
    if outdated:
        (out / EVALUATION).unlink(missing_ok=True)
        if (adapter / WEIGHTS).is_file():  # otherwise the folder is none of ours
            shutil.rmtree(adapter)
    workspace.copy(artifact, target)


def _differs(made: Path, earlier: Path, name: str) -> bool:
    """Whether ``earlier`` has the file ``name`` with another content."""
    there = (earlier / name).is_file()
    return there and not filecmp.cmp(made / name, earlier / name, shallow=False)
