"""Earlier results of :func:`dealrec.prune` from which a later run continues."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dealrec.config.continuation import (
    DATASET,
    Continuation,
    Continued,
    continuation_not_possible,
)
from dealrec.config.stages import Plan, StageName, hashed
from dealrec.disk import written_whole

_FILE, ADAPTER = ".stages.json", "adapter"
_KEPT = (StageName.SURROGATE, StageName.EFFORT, StageName.SELECT)


@dataclass(frozen=True)
class EarlierRun:
    """The finished stages behind a result."""

    identity: str
    """A hash of the keys of these stages."""
    folders: Mapping[str, Path]
    """Their folders by name, and that of the ``dataset``."""
    adapter: str | None
    """The folder of the adapter, if there is one."""

    @classmethod
    def read(cls, result: str | Path) -> "EarlierRun":
        """Find the stages behind the folder of a result.

        Raises:
            InputError: ``continuation_not_possible``.
        """
        folder = Path(result).expanduser().absolute()
        try:
            kept = json.loads((folder / _FILE).read_text())
        except (OSError, ValueError):
            raise continuation_not_possible(
                f"{result} is not a result of `dealrec prune` of this version."
            ) from None
        folders = {name: folder / path for name, path in kept["folders"].items()}
        needed = {*folders} - {StageName.FINETUNE}
        gone = [name for name in sorted(needed) if not folders[name].is_dir()]
        if gone:
            raise continuation_not_possible(
                f"`{gone[0]}` is missing from its work folder, where it was in {folders[gone[0]]}."
            )
        return cls(kept["identity"], folders, _adapter(folder, folders))

    def continued(self, options: Continuation | Mapping[str, object] | None) -> Continued:
        """Make the continuation of a job from this run."""
        if not isinstance(options, Continuation):
            options = Continuation.parse(dict(options or {}), location="continuation")
        return Continued(**options.model_dump(), earlier=self.identity)


def _adapter(result: Path, folders: Mapping[str, Path]) -> str | None:
    """The adapter as its stage left it, which stays when the result is replaced; else that of the result.

    Results of earlier versions did not note the stage.
    """
    for folder in (folders.get(StageName.FINETUNE), result / ADAPTER):
        if folder is not None and folder.is_dir():
            return str(folder)
    return None


def keep_run(out: Path, dataset: Path, plan: Plan, made: Mapping[StageName, Path]) -> None:
    """Record beside a result where its finished stages are, so that a later run can continue from it."""
    there = [name for name in (*_KEPT, StageName.FINETUNE) if name in made]
    folders: dict[str, Path] = {DATASET: dataset, **{name.value: made[name] for name in there}}
    keys = {stage.place.name.value: stage.key for stage in plan.stages if stage.place.name in _KEPT}
    out = out.absolute()
    kept = {
        "identity": hashed(keys),
        "folders": {
            name: str(path.relative_to(out) if path.is_relative_to(out) else path)
            for name, path in folders.items()
        },
    }
    with written_whole(out / _FILE) as unfinished:
        unfinished.write_text(json.dumps(kept))
