"""Runs a comparison: every selection, every training, every measurement, each kept as it ends."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dealrec.comparison.kept import KeptRuns, RunFigures
from dealrec.comparison.report import write_comparison_report
from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.summary import Ran, summarise
from dealrec.config import FinetuneConfig
from dealrec.config.comparison import ALL_DATA, ComparisonConfig, PlannedRun
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.prompts import PromptedSample, Prompter
from dealrec.data.samples import Samples
from dealrec.language_models.loading import load_language_model
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.bigrec import BigRec
from dealrec.runtime import apply_runtime
from dealrec.selection.interface import Scores
from dealrec.selection.select import member_sha256, select

REPORT_JSON, REPORT_HTML, USERS = "report.json", "report.html", "users.parquet"
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chosen:
    """The samples of one run."""

    selector: str
    budget: int
    number: int
    selection_seed: int
    finetune: FinetuneConfig
    indices: Indices
    sha256: str
    seconds: float
    """Of the selection."""

    @property
    def identity(self) -> str:
        """Tells this run from others of the same comparison."""
        return f"{self.selector}\n{self.budget}\n{self.number}"


def compare(
    dataset: Dataset,
    samples: Samples,
    chosen: Sequence[Chosen],
    config: ComparisonConfig,
    *,
    budgets: Sequence[int],
    out: Path,
    checkpoint_dir: Path | None = None,
    work: Path | None = None,
    seconds: Mapping[StageName, float],
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> ComparisonReport:
    """Train on the coreset of every selector at every budget, and measure on held-out users.

    Args:
        dataset: Whose users are held out.
        samples: What is selected from.
        chosen: Its runs, as :func:`choose_runs` gives them.
        config: Resolved.
        budgets: Its budgets in samples, in its order.
        out: Gets ``report.json``, ``report.html`` and ``users.parquet`` (every run's figures by user).
        checkpoint_dir: Where every finished run and the catalogue's vectors are kept; a comparison of
            the same things goes on from there and makes the same report.
        work: Where states of frozen layers are kept, to be used by later comparisons as well;
            default: a temporary folder beside ``out``.
        seconds: How long each stage before the selection took, for the ledger of costs.
        runtime: Device and threads.
        reporter: Gets ``title`` and ``text`` while vectors and states are kept, then ``step`` of all
            trainings.

    Raises:
        InputError: ``no_held_out_users``, and as
            :func:`~dealrec.language_models.loading.load_language_model`.
        Cancelled: When ``reporter`` says so.
        OSError: The disk has no room.
    """
    finetune, evaluation = config.config.finetune, config.config.evaluation
    assert finetune is not None
    assert evaluation is not None
    device = apply_runtime(runtime or Runtime())
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if work is None:
            beside = tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)
            work = Path(stack.enter_context(beside))
        loaded = load_language_model(
            finetune.model, dtype=finetune.dtype, device=device, reporter=reporter
        )
        recommender = BigRec(
            loaded,
            dataset,
            config.config.prompt,
            finetune,
            evaluation,
            work / "trunk",
            (checkpoint_dir or work) / "catalogue",
            reporter,
        )
        runs = _Runs(Prompter(dataset, samples, config.config.prompt), recommender, reporter)
        kept = KeptRuns(checkpoint_dir, config, dataset.sha256, loaded.revision)
        ran = runs.run(chosen, kept)
        counts = recommender.token_counts(runs.prompts(np.arange(len(samples))))
        report = summarise(
            Ran(dataset, samples, config, tuple(budgets), list(chosen), ran),
            recommender=recommender,
            loaded=loaded,
            text_tokens=np.array(counts, dtype=np.int64),
            seconds=seconds,
        )
    kept.write_users(out / USERS, [ran.figures[run.identity] for run in chosen], chosen)
    (out / REPORT_JSON).write_text(report.model_dump_json(indent=2), encoding="utf-8")
    write_comparison_report(report, out / REPORT_HTML)
    return report


def choose_runs(
    keys: Sequence[str],
    scores: Scores,
    config: ComparisonConfig,
    *,
    budgets: Sequence[int],
    reporter: Reporter = SILENT,
) -> list[Chosen]:
    """The samples of every run; trainings on all data come last.

    Args:
        keys: Of the samples, in dense order.
        scores: All that the selectors look at.
        config: Resolved.
        budgets: Its budgets in samples, in its order.
        reporter: Gets a ``selection`` of all.

    Raises:
        InputError: As the selectors.
        Cancelled: When ``reporter`` says so.
    """
    planned = config.planned(tuple(budgets))
    found = []
    for done, run in enumerate(planned):
        reporter.progress(done, len(planned), "selection")
        found.append(choose_run(keys, scores, run))
    return found + [everything(keys, config, number) for number in range(config.full_data_runs)]


def choose_run(keys: Sequence[str], scores: Scores, run: PlannedRun) -> Chosen:
    """The samples of one run of a selector."""
    started = time.perf_counter()
    indices = select(scores, run.budget, run.selection).indices
    return chosen_run(keys, run, indices, time.perf_counter() - started)


def chosen_run(keys: Sequence[str], run: PlannedRun, indices: Indices, seconds: float) -> Chosen:
    """A run whose selection gave ``indices`` after ``seconds``."""
    return Chosen(
        selector=run.selector,
        budget=run.budget,
        number=run.number,
        selection_seed=run.selection.seed,
        finetune=run.finetune,
        indices=indices,
        sha256=member_sha256(keys[index] for index in indices.tolist()),
        seconds=seconds,
    )


def everything(keys: Sequence[str], config: ComparisonConfig, number: int) -> Chosen:
    """Training ``number`` on all samples."""
    assert config.config.finetune is not None
    finetune = config.config.finetune
    return Chosen(
        ALL_DATA,
        len(keys),
        number,
        selection_seed=0,
        finetune=finetune.model_copy(update={"seed": finetune.seed + number}),
        indices=np.arange(len(keys), dtype=np.int64),
        sha256=member_sha256(keys),
        seconds=0.0,
    )


@dataclass(frozen=True)
class Figures:
    """What all runs left."""

    untrained: dict[str, float]
    figures: dict[str, RunFigures]
    """By :attr:`Chosen.identity`."""


class _Runs:
    """Trainings on one loaded model, one after the other."""

    def __init__(self, prompter: Prompter, recommender: BigRec, reporter: Reporter) -> None:
        self._prompter, self._recommender, self._reporter = prompter, recommender, reporter

    def prompts(self, indices: Indices) -> list[PromptedSample]:
        return [self._prompter.prompt(index) for index in indices.tolist()]

    def run(self, chosen: Sequence[Chosen], kept: "KeptRuns") -> Figures:
        found = {run.identity: kept.read(run.identity, run.sha256) for run in chosen}
        missing = [run for run in chosen if found[run.identity] is None]
        if missing:
            # Of all runs: states differ in the last place with the texts beside which they are made.
            needed = np.unique(np.concatenate([run.indices for run in chosen]))
            self._recommender.keep(self.prompts(needed), self._reporter)
        untrained = kept.untrained() or kept.write_untrained(
            self._recommender.untrained(lambda: self._reporter.progress(0, 1, "step")).means
        )
        steps = [_steps(run) for run in chosen]
        done = sum(n for n, run in zip(steps, chosen, strict=True) if found[run.identity])
        for run in missing:
            result = self._recommender.train_and_measure(
                self.prompts(run.indices),
                run.finetune,
                self._counter(done, sum(steps), _steps(run)),
            )
            found[run.identity] = kept.write(run.identity, run.sha256, result)
            done += _steps(run)
            self._reporter.metric("runs", sum(value is not None for value in found.values()))
        self._reporter.progress(done, sum(steps), "step")
        figures = {identity: value for identity, value in found.items() if value is not None}
        return Figures(untrained, figures)

    def _counter(self, done: int, total: int, most: int) -> Callable[[], None]:
        """Called after each step of a run, and further while it is measured."""
        count = 0

        def step() -> None:
            nonlocal count
            count = min(count + 1, most)
            self._reporter.progress(done + count, total, "step")

        return step


def _steps(run: Chosen) -> int:
    per_epoch = -(-len(run.indices) // run.finetune.batch_size)
    return per_epoch * run.finetune.epochs
