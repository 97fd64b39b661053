"""Copies a job's results to a folder that people chose, which may also hold files of their own."""

import contextlib
import filecmp
import json
from pathlib import Path

from dealrec.config import DataOptions, FinetuneConfig, PruneConfig
from dealrec.config.stages import StageName
from dealrec.coresets.formats import CoresetFormat, write_format
from dealrec.coresets.writer import MEMBERS
from dealrec.disk import written_whole
from dealrec.errors import FieldError, InputError
from dealrec.language_models.adapters import ADAPTER_FILES, HEAD, WEIGHTS
from dealrec.stages.context import EVALUATION
from dealrec.stages.workspace import Artifact, Workspace

ADAPTER, CARD = "adapter", "README.md"
LINES, CONFIG = "coreset.jsonl", "config.json"


def publish(
    workspace: Workspace,
    name: StageName,
    artifact: Artifact,
    out: Path,
    config: PruneConfig,
    data: DataOptions,
) -> None:
    """Copy a stage's files into ``out`` if they are results that people want.

    With a coreset go its lines and a configuration, made of ``config`` and ``data``, that ``dealrec prune
    --config`` reads.

    An adapter and an evaluation that an earlier run left there are removed before the coreset, the options
    or the adapter that they were made from are replaced.
    """
    adapter = out / ADAPTER
    match name:
        case StageName.SELECT:
            outdated = _differs(artifact.folder, out, MEMBERS) or _trained_otherwise(out, config)
            target = out
        case StageName.FINETUNE:
            target, outdated = adapter, _differs(artifact.folder, adapter, WEIGHTS)
        case StageName.EVALUATE:
            target, outdated = out, False
        case _:
            return
    if outdated:
        (out / EVALUATION).unlink(missing_ok=True)
        if (adapter / WEIGHTS).is_file():  # otherwise the folder is not ours
            for file in (*ADAPTER_FILES, HEAD, CARD):
                (adapter / file).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it holds other files
                adapter.rmdir()
    workspace.copy(artifact, target)
    if name is StageName.SELECT:
        with written_whole(out / LINES) as unfinished, unfinished.open("wb") as lines:
            write_format(artifact.folder / MEMBERS, CoresetFormat.JSONL, lines)
        with written_whole(out / CONFIG) as unfinished:
            asked = {"data": data.asked()}
            written = config.model_dump(mode="json") | asked
            unfinished.write_text(json.dumps(written, indent=2) + "\n")


def require_kept_start(config: FinetuneConfig | None, out: Path) -> None:
    """Check that a training does not continue from the very adapter that its result would replace.

    Raises:
        InputError: ``adapter_not_usable``.
    """
    start = None if config is None else config.from_adapter
    if start is None or Path(start).expanduser().resolve() != (out / ADAPTER).resolve():
        return
    raise InputError(
        f"The training continues from the adapter in {out / ADAPTER}, which its own result would "
        "replace. Choose another folder for the results (`--out`), or continue from the whole result "
        "(`--continue-from` with `--carry-adapter`).",
        code="adapter_not_usable",
        title="The adapter cannot be used",
        errors=[FieldError("finetune.from_adapter", "is in the folder of the results")],
    )


def _trained_otherwise(out: Path, config: PruneConfig) -> bool:
    """Return whether the configuration in ``out`` trains an adapter with options other than ``config``."""
    try:
        earlier = json.loads((out / CONFIG).read_text())["finetune"]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    asked = config.model_dump(mode="json")["finetune"]
    return None not in (earlier, asked) and earlier != asked


def _differs(made: Path, earlier: Path, name: str) -> bool:
    """Return whether ``earlier`` has the file ``name`` with different content."""
    there = (earlier / name).is_file()
    return there and not filecmp.cmp(made / name, earlier / name, shallow=False)
