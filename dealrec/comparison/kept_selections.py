"""Keeps selections on disk, so that an interrupted comparison does not select again."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dealrec.config.comparison import ComparisonConfig, PlannedRun
from dealrec.config.selectors import selector_needs
from dealrec.config.stages import STAGES, StageName, hashed, makers
from dealrec.disk import file_sha256, written_whole


class KeptSelection(NamedTuple):
    """The samples that a selector selected, and the seconds that it took."""

    indices: npt.NDArray[np.int64]
    """[budget] dense indices, ascending."""
    seconds: float


class KeptSelections:
    """The selections in ``folder``. Without a folder nothing is kept.

    The name of a file depends on the samples, on the options of the selection, and on the content of the
    scores that the selector uses. So later comparisons of the same data read it, and others do not.

    Args:
        folder: It is created when something is kept.
        config: The configuration that defines the samples.
        dataset_sha256: The hash of the data set.
        inputs: Gives the folders of the scoring stages of a run.
    """

    def __init__(
        self,
        folder: Path | None,
        config: ComparisonConfig,
        dataset_sha256: str,
        inputs: Callable[[int], Mapping[StageName, Path]],
    ) -> None:
        samples = config.config.model_dump(mode="json", include={"sampling", "min_history"})
        version = STAGES[StageName.SELECT].version
        self._folder, self._shared = folder, [samples, dataset_sha256, version]
        self._inputs = inputs
        self._contents = dict[Path, list[str]]()

    def read(self, run: PlannedRun) -> KeptSelection | None:
        """Return the selection of the run; ``None`` if it has not been made."""
        path = self._path(run)
        if path is None or not path.is_file():
            return None
        found = json.loads(path.read_text())
        return KeptSelection(np.array(found["indices"], dtype=np.int64), found["seconds"])

    def write(self, run: PlannedRun, found: KeptSelection) -> None:
        """Keep a selection."""
        path = self._path(run)
        if path is not None:
            content = {"indices": found.indices.tolist(), "seconds": found.seconds}
            with written_whole(path) as unfinished:
                unfinished.write_text(json.dumps(content))

    def _path(self, run: PlannedRun) -> Path | None:
        if self._folder is None:
            return None
        made, inputs = makers(selector_needs(run.selection)), self._inputs(run.number)
        scores = {name.value: self._content(inputs[name]) for name in made}
        asked = [*self._shared, run.selection.model_dump(mode="json"), run.budget, scores]
        return self._folder / f"{hashed(asked)[:32]}.json"

    def _content(self, folder: Path) -> list[str]:
        if folder not in self._contents:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            self._contents[folder] = [file_sha256(path) for path in files]
        return self._contents[folder]
