"""The arguments and the result of a stage's function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from dealrec.config import ComparisonConfig, DataOptions, PruneConfig, ValidationUsers
from dealrec.config.continuation import Continued
from dealrec.config.curve import TargetUse
from dealrec.config.data import AS_THEY_ARE
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName, StagePart
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples, build_samples
from dealrec.data.validation_users import Half, with_validation_of
from dealrec.progress import CurvePoints, Reporter

EVALUATION = "evaluation.json"
"""The name of the file with the figures, in the folder of a stage that evaluates."""


class Record(BaseModel):
    """A record that is passed on as JSON, including figures that are NaN or infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class IngestFile(Record):
    """A file to read, and the name by which people know it."""

    path: Path
    """A file, or a folder of files."""
    name: str
    further: tuple["IngestFile", ...] = ()
    """Other files of the same table."""
    renamed: dict[str, str] = {}
    """The names that some of its columns get in the table, by their names in the file."""

    def paths(self) -> list[Path]:
        """Return the paths of all files and folders of the table."""
        return [self.path, *(file.path for file in self.further)]

    def names(self) -> list[str]:
        """Return the names of these files."""
        return [self.name, *(file.name for file in self.further)]

    def renames(self) -> list[dict[str, str]]:
        """Return the new names of their columns, file by file."""
        return [self.renamed, *(file.renamed for file in self.further)]


class IngestFiles(Record):
    """The files of a data set, and how they are read."""

    interactions: IngestFile | None = None
    """``None`` if the interactions are made from the samples."""
    items: IngestFile | None = None
    samples: IngestFile | None = None
    """The file of samples that are ready texts."""
    options: DataOptions = AS_THEY_ARE
    appended: tuple["IngestFiles", ...] = ()
    """Files that are appended afterwards, each to the version that the files before it make."""


class StageFacts(Record):
    """The facts of a finished stage besides its files."""

    metrics: dict[str, float]
    details: dict[str, Any]
    """The details that the stage's function returned, such as diagnostics and counts."""
    seconds: float | None
    curves: CurvePoints = {}


class RunInputs(Record):
    """The folders and facts of the stages that were run again for one run of a comparison."""

    inputs: dict[StageName, Path] = {}
    facts: dict[StageName, StageFacts] = {}


@dataclass(frozen=True)
class StageContext:
    """The local folders to read from (never to write to), the folder ``out`` to fill, and the options."""

    out: Path
    checkpoint_dir: Path
    """The folder for checkpoints. It outlives this process, so a later attempt finds the checkpoint of an
    earlier one."""
    reporter: Reporter
    runtime: Runtime
    dataset: Path = Path()
    """The folder of the data set; in a validation, the folder of the version to which files are appended."""
    inputs: Mapping[StageName, Path] = field(default_factory=dict)
    """The folders of the stages on which this one depends, directly or through others."""
    facts: Mapping[StageName, StageFacts] = field(default_factory=dict)
    """The facts of the same stages, besides their files."""
    adapter: Path | None = None
    """The folder of the adapter from which the stage continues, if the options name it by id."""
    later_runs: Sequence[RunInputs] = ()
    """For a comparison: the stages that were run again for run 1, run 2 and so on; ``inputs`` are those
    of run 0."""
    config: PruneConfig = field(default_factory=PruneConfig)
    comparison: ComparisonConfig | None = None
    """The options of a comparison; ``config`` is then a part of them."""
    budget: int = 0
    budget_requested: int | float = 0
    target: TargetUse | None = None
    """The target from which the budget followed, if there was one."""
    continued: Continued | None = None
    """How the job continues from an earlier one, whose folders are in ``earlier``."""
    earlier: Mapping[str, Path] = field(default_factory=dict)
    """The folders of the earlier job by the name of the stage, and its ``dataset``, as far as they exist."""
    files: IngestFiles | None = None
    part: StagePart | None = None
    """The part of a shared stage to make; ``None`` makes the whole stage, from ``parts`` if there are any."""
    shard: int = 0
    """The number of the shard, from 0."""
    shards: int = 1
    """How many shards there are."""
    pieces: int = 1
    """The number of pieces into which a batch is cut. It doubles each time that memory runs out."""
    parts: Mapping[str, Path] = field(default_factory=dict)
    """The folders of the parts that were made before: ``plan``, ``shard-0``, …."""
    cache: Path | None = None
    """A folder that later jobs share; ``None``: nothing is kept for them."""

    def of_run(self, run: int) -> RunInputs:
        """Return the stages on which run ``run`` of a comparison depends; some are those of run 0."""
        own = self.later_runs[run - 1] if 0 < run <= len(self.later_runs) else RunInputs()
        return RunInputs(inputs={**self.inputs, **own.inputs}, facts={**self.facts, **own.facts})

    def load_dataset(self, half: Half | None = Half.AIMED) -> Dataset:
        """Load the data set; if validation users are halved, with the validation items of one half only.

        With ``None``, the whole data set is loaded in any case.
        """
        dataset = Dataset.load(self.dataset)
        if half is None or self.config.validation_users is not ValidationUsers.HALF:
            return dataset
        return with_validation_of(dataset, half)

    def load_samples(self, half: Half | None = Half.AIMED) -> tuple[Dataset, Samples]:
        """Load the data set, like :meth:`load_dataset`, and its samples."""
        dataset = self.load_dataset(half)
        return dataset, build_samples(dataset, self.config.sampling, self.config.min_history)

    def replanned(self, batch_tokens: int) -> int:
        """Return ``batch_tokens`` divided by ``pieces``; an event reports batches that become smaller."""
        if self.pieces == 1:
            return batch_tokens
        smaller = batch_tokens // self.pieces
        self.reporter.event("replanned", batch_tokens=smaller)
        return smaller


@dataclass(frozen=True)
class StageResult:
    """A stage's result: ``details`` are kept with the artifact and published; people see ``metrics``."""

    details: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
