"""The parts that the stages of a comparison share: a loaded model, kept runs, and trainings in order."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dealrec.comparison.kept import KeptRuns
from dealrec.comparison.known import Known, model_of
from dealrec.comparison.results import Model
from dealrec.comparison.runs import SelectedRun, TrainedRun
from dealrec.comparison.training import RunTrainer
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.language_models.loading import load_language_model
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.interface import Measurement
from dealrec.runtime import apply_runtime

_TRUNK = "trunk"


@dataclass(frozen=True)
class Place:
    """Where a stage of a comparison reads and writes."""

    out: Path
    """The folder to fill."""
    checkpoint_dir: Path | None = None
    """The folder for trained runs and the catalogue's vectors. A repeated comparison continues from there
    and makes the same report."""
    work: Path | None = None
    """The folder in which states of frozen layers are kept for later comparisons; default: a temporary
    folder beside ``out``."""
    headroom: Path | None = None
    """The folder that :func:`measure_headroom` filled."""
    runtime: Runtime = field(default_factory=Runtime)
    reporter: Reporter = SILENT
    """Gets ``title`` and ``text`` while vectors and states are computed, then ``step`` over all trainings."""


@dataclass(frozen=True)
class Prepared:
    """A loaded model that has not been trained, and the runs that are kept."""

    trainer: RunTrainer
    kept: KeptRuns
    model: Model
    reporter: Reporter

    def training(self, selected: Sequence[SelectedRun], further: int = 0) -> "Training":
        """Begin the trainings of ``selected``; see :class:`Training`."""
        return Training(self.trainer, self.kept, self.reporter, selected, further)

    @property
    def known(self) -> Known:
        """The facts that the report needs."""
        seconds = self.trainer.recommender.trunk_seconds_per_token
        return Known(self.model, seconds, self.trainer.text_tokens())


@contextmanager
def prepared(
    dataset: Dataset, samples: Samples, config: ComparisonConfig, place: Place
) -> Iterator[Prepared]:
    """Load the language model of a comparison, and provide the states of frozen layers in the block.

    Raises:
        InputError: ``no_held_out_users``, and as
            :func:`~dealrec.language_models.loading.load_language_model`.
    """
    assert config.config.finetune is not None
    device, out, work = apply_runtime(place.runtime), place.out, place.work
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if work is None:
            beside = tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)
            work = Path(stack.enter_context(beside))
        if place.headroom is not None and (made := place.headroom / _TRUNK).is_dir():
            shutil.copytree(made, work / _TRUNK, dirs_exist_ok=True)
        finetune = config.config.finetune
        loaded = load_language_model(
            finetune.model,
            dtype=finetune.dtype,
            device=device,
            quantization=finetune.quantization,
            reporter=place.reporter,
        )
        trainer = RunTrainer(
            dataset,
            samples,
            config,
            loaded,
            trunk=work / _TRUNK,
            catalogue=(place.checkpoint_dir or work) / "catalogue",
            reporter=place.reporter,
        )
        kept = KeptRuns(
            place.checkpoint_dir,
            config,
            dataset.sha256,
            loaded.revision,
            further=place.headroom,
        )
        yield Prepared(trainer, kept, model_of(trainer.recommender), place.reporter)


class Training:
    """Trains runs in the order in which they are requested. Runs that are kept are read instead.

    Before anything is trained, the states of all texts so far are computed in the same order, so that a
    continued comparison ends with the same figures. ``further`` is the number of steps that follow those
    of ``selected``.
    """

    def __init__(
        self,
        trainer: RunTrainer,
        kept: KeptRuns,
        reporter: Reporter,
        selected: Sequence[SelectedRun],
        further: int,
    ) -> None:
        self._trainer, self._kept, self._reporter = trainer, kept, reporter
        self._total = sum(run.steps for run in selected) + further
        self._done, self._made = 0, 0
        self._asked: list[Sequence[SelectedRun]] = [()]  # the texts of the measurement come first
        self.untrained = self._untrained()

    def make(self, selected: Sequence[SelectedRun]) -> list[TrainedRun]:
        """Train and measure each of ``selected`` that is not kept, and return all in order."""
        self._asked.append(selected)
        found = [self._kept.read(run) for run in selected]
        if any(run is None for run in found):
            self._keep_texts()
        self._count([run for run in found if run is not None])
        made = []
        for run, before in zip(selected, found, strict=True):
            made.append(before or self._train(run))
        return made

    def _train(self, run: SelectedRun) -> TrainedRun:
        counter = _counter(self._reporter, self._done, run.steps, self._total)
        trained = self._trainer.train(run, counter)
        self._kept.write(trained)
        self._count([trained])
        return trained

    def end(self) -> None:
        """Report that all steps are done."""
        self._reporter.progress(self._total, self._total, "step")

    def _count(self, runs: Sequence[TrainedRun]) -> None:
        self._done += sum(run.selected.steps for run in runs)
        self._made += len(runs)
        if runs:
            self._reporter.metric("runs", self._made)

    def _keep_texts(self) -> None:
        for selected in self._asked:
            self._trainer.keep(selected, self._reporter)

    def _untrained(self) -> Measurement:
        measured = self._kept.read_untrained()
        if measured is None:
            self._trainer.keep([], self._reporter)
            measured = self._trainer.untrained(lambda: self._reporter.progress(0, 1, "step"))
            self._kept.write_untrained(measured)
        return measured


def _counter(reporter: Reporter, done: int, steps: int, total: int) -> Callable[[], None]:
    """Make the function that is called after each step of a run and while it is measured."""
    count = 0

    def step() -> None:
        nonlocal count
        count = min(count + 1, steps)
        reporter.progress(done + count, total, "step")

    return step
