"""The library's executor, which keeps finished stages in a folder under the same keys as the service."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from dealrec.config.runtime import Runtime
from dealrec.config.stages import (
    STAGES,
    DataShape,
    Phase,
    Plan,
    StageName,
    StagePlace,
    StageSpec,
    by_run,
    hashed,
    reported,
    require_unchanged,
)
from dealrec.data.dataset import Dataset
from dealrec.data.many import parts_of
from dealrec.disk import file_sha256, remove_unfinished, written_whole
from dealrec.progress import SILENT, Curves, Reporter, StageReporters
from dealrec.stages.context import IngestFiles, RunInputs, StageContext, StageFacts
from dealrec.stages.in_use import FolderInUse
from dealrec.stages.registry import load_stage

_OUT, _FACTS, _SIZES = "out", "facts.json", "sizes.json"


@dataclass(frozen=True)
class Artifact:
    """The result of a finished stage."""

    folder: Path
    """The folder with the files that the stage wrote. Never write to it."""
    facts: StageFacts

    @property
    def shape(self) -> DataShape:
        """The shape of a validated data set."""
        details = self.facts.details
        return DataShape(
            details["sha256"],
            details["counts"],
            details["train_lengths"],
            **reported(details["report"]),
        )


@dataclass(frozen=True)
class JobInput:
    """The data of a job."""

    dataset: Path
    """The folder of a validated data set."""
    budget_requested: int | float = 0
    earlier: Mapping[str, Path] | None = None
    """The folders of the earlier job from which the plan continues."""
    given: Mapping[StageName, Path] | None = None
    """Results that were not made in this workspace, such as a coreset to train on."""


class Workspace:
    """A folder of finished stages.

    A stage whose key has a result is not run again, in this process or a later one: another budget,
    selector or λ is a new selection from the kept scores. A stage that was stopped continues from its
    checkpoint. Several processes may use the same workspace.

    Args:
        folder: The folder, which is created if it does not exist. You can remove it at any time, because
            it holds only copies.
        runtime: Threads and device.
        stages: A function that gives the reporter of each stage that runs.
        cache: A folder for results that later jobs can use too, such as the finished runs of a comparison
            and the states of frozen layers, which take gigabytes. ``None`` keeps no such results.
    """

    def __init__(
        self,
        folder: Path,
        *,
        runtime: Runtime,
        stages: StageReporters,
        cache: Path | None = None,
    ) -> None:
        self.folder, self._stages = folder.absolute(), stages
        self._use: FolderInUse | None = None
        self._empty = StageContext(Path(), Path(), SILENT, runtime, cache=cache)

    def ingest(self, files: IngestFiles) -> Artifact:
        """Validate files into a data set, unless files of the same content were validated before.

        Each of ``files.appended`` is validated by itself, and only if it was not appended before.

        Raises:
            InputError: As :func:`dealrec.data.ingest.ingest` and :func:`dealrec.data.append.append`.
        """
        spec, context = STAGES[StageName.INGEST], replace(self._empty, files=files)
        key = hashed([spec.version, *_content(files)])
        made = self._made(spec, key, context)
        for more in files.appended:
            key = hashed([key, *_content(more)])
            made = self._made(spec, key, replace(context, files=more, dataset=made.folder))
        return made

    def keep(self, dataset: Dataset) -> Path:
        """Save a data set that was made in memory, and return its folder."""
        folder = self.folder / "datasets" / dataset.sha256
        self._once(folder, dataset.save)
        return folder

    def copy(self, artifact: Artifact, out: Path) -> None:
        """Copy the files of ``artifact`` into ``out``, which may be on another file system.

        Each file appears whole; other files in ``out`` stay.
        """
        self._begin()
        with FileLock(self.folder / "copy.lock"):
            for source in sorted(artifact.folder.iterdir()):
                remove_unfinished(out / source.name)
                with written_whole(out / source.name) as unfinished:
                    shutil.copy(source, unfinished)

    def discard(self, part: str = "") -> None:
        """Remove the folder, or ``part`` of it, unless another workspace has begun to use the folder."""
        if self._use is not None:
            self._use.remove(part)
            self._use = None

    def run(self, plan: Plan, given: JobInput) -> Iterator[tuple[StageName, Artifact]]:
        """Run the stages of a job in order, and yield each result as soon as it exists.

        If a stage stops the scoring stages, those after it are left out.

        Raises:
            InputError: As the stages.
            Cancelled: When a reporter says so; finished stages are kept.
        """
        made = dict[StagePlace, Artifact]()
        before = dict[StagePlace, set[StagePlace]]()
        stopped = False
        for stage in plan.stages:
            needed = before[stage.place] = {
                p for need in stage.needs for p in {need} | before[need]
            }
            if stopped and stage.spec.phase is Phase.SCORING:
                continue
            first, *later = [
                RunInputs(
                    inputs={name: made[place].folder for name, place in group.items()},
                    facts={name: made[place].facts for name, place in group.items()},
                )
                for group in by_run(stage.spec, needed & made.keys())
            ]
            context = replace(
                self._empty,
                dataset=given.dataset,
                inputs={**(given.given or {}), **first.inputs},
                facts=first.facts,
                later_runs=later,
                config=stage.options.config,
                comparison=stage.options.comparison,
                budget=stage.options.budget,
                budget_requested=given.budget_requested,
                target=stage.options.target,
                continued=stage.options.continued,
                earlier=given.earlier or {},
            )
            made[stage.place] = self._made(stage.spec, stage.key, context, stage.loads)
            stopped |= stage.spec.stops(stage.options, made[stage.place].facts.details)
            yield stage.place.name, made[stage.place]

    def _begin(self) -> None:
        if self._use is None:
            self._use = FolderInUse(self.folder)

    def _made(
        self,
        spec: StageSpec,
        key: str,
        context: StageContext,
        loads: Mapping[str, object] | None = None,
    ) -> Artifact:
        """Find or make the result; ``loads`` identifies the content of its language model in the plan."""
        folder, checkpoints = self.folder / "artifacts" / key, self.folder / "checkpoints" / key
        context = replace(context, checkpoint_dir=checkpoints)

        def fill(unfinished: Path) -> None:
            require_unchanged(spec, context.config, loads)
            self._run(spec, unfinished, context)
            require_unchanged(spec, context.config, loads)

        self._once(folder, fill, checkpoints)
        facts = StageFacts.model_validate_json((folder / _FACTS).read_text())
        return Artifact(folder / _OUT, facts)

    def _once(
        self, folder: Path, fill: Callable[[Path], None], checkpoints: Path | None = None
    ) -> None:
        """Make ``folder`` with ``fill`` unless it exists, and then remove ``checkpoints``.

        A second process that needs the same folder waits for the first one. Anything that a killed
        process left unfinished is removed, and a folder that lost a file, or a part of one, is made
        again.
        """
        self._begin()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not _is_whole(folder):
                shutil.rmtree(folder, ignore_errors=True)
                remove_unfinished(folder)
                with written_whole(folder) as unfinished:
                    fill(unfinished)
            if checkpoints is not None:
                shutil.rmtree(checkpoints, ignore_errors=True)

    def _run(self, spec: StageSpec, folder: Path, context: StageContext) -> None:
        reporter = _MetricKeeper(self._stages(spec.name))
        out = folder / _OUT
        for needed in (out, context.checkpoint_dir):
            needed.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        result = load_stage(spec.name)(replace(context, out=out, reporter=reporter))
        facts = StageFacts(
            metrics={**reporter.metrics, **result.metrics},
            details=result.details,
            curves=reporter.curves.points(),
            seconds=time.perf_counter() - started,
        )
        (folder / _FACTS).write_text(facts.model_dump_json())
        (folder / _SIZES).write_text(json.dumps(_sizes(folder)))


def _content(files: IngestFiles) -> list[object]:
    """Return everything that determines the data set made from ``files``: names, hashes and options."""
    roles = (
        ("interactions", files.interactions),
        ("items", files.items),
        ("samples", files.samples),
    )
    content = {
        role: [
            file.name,
            *((part.name, file_sha256(part.path)) for part in parts_of(file.paths())),
        ]
        for role, file in roles
        if file is not None
    }
    return [content, files.options.model_dump(mode="json")]


def _is_whole(folder: Path) -> bool:
    """Return whether the folder exists and every file has the size with which it was written."""
    if not (folder / _SIZES).is_file():
        return folder.is_dir() and not (folder / _OUT).exists()
    try:
        return bool(json.loads((folder / _SIZES).read_text()) == _sizes(folder))
    except ValueError:
        return False


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != _SIZES)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


class _MetricKeeper:
    """Passes everything on to another reporter, and keeps metrics and curves."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.metrics: dict[str, float] = {}
        self.curves = Curves()
        self.progress, self.event = reporter.progress, reporter.event

    def metric(self, name: str, value: float) -> None:
        self.metrics[name] = float(value)
        self._reporter.metric(name, value)

    def point(self, name: str, step: int, value: float) -> None:
        self.curves.add(name, step, value)
        self._reporter.point(name, step, value)
