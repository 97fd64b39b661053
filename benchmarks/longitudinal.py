"""Over time, is a run that goes on from the last one as good as a full run, and how much cheaper is it?

``python -m benchmarks.longitudinal --data FOLDER --work WORK``; ``FOLDER`` has ``interactions.csv.gz`` with
timestamps and ``items.csv.gz``. The interactions are cut by time: the oldest ``--begin`` of them are the
first version of a data set, and the rest are appended in ``--ticks`` parts of equal counts, each with the
items that come up in it. Every version is split by time, so its newest tenth is what is asked.

At each tick a coreset is chosen in five ways: by a full run, by a run that goes on from that of the
tick before, by ``recent``, by ``random``, and not at all (``frozen``: the coreset of the first version).
A second full run with another seed of the surrogate says how much two full runs agree. The seconds are
those of the processor, on one thread, of surrogate, influence and selection. The recommender of
``benchmarks/PROTOCOL.md`` is trained on each coreset in several runs; run ``r`` of all ways has the same
seeds of selection and training. What is finished is kept in ``WORK``; a call that was stopped in the middle
of a run makes that run anew, so that its seconds are whole.

The verdict: going on takes at most 25 % of the full runs' seconds, and the preference is not worse than
that after full runs by more than 0.01 nats, by a 95 % interval over runs and users.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks._encoder import Floats, TrainedEncoder, protocol_finetune, protocol_prompt
from benchmarks._report import Target, device_text, finish
from dealrec.config import DataOptions, HeldOut, Split, SplitMethod
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName
from dealrec.coresets.differences import differences
from dealrec.coresets.members import read_members
from dealrec.coresets.writer import MANIFEST, MEMBERS
from dealrec.data.dataset import Dataset
from dealrec.disk import written_whole
from dealrec.earlier_runs import EarlierRun
from dealrec.metrics.crossed import paired
from dealrec.pipeline import prune
from dealrec.progress import SILENT, Reporter, silent_stages
from dealrec.result_folders import workspace_in
from dealrec.runtime import apply_runtime
from dealrec.sources import Addition, source_files
from dealrec.surrogates.ensemble import load_ensemble
from dealrec.surrogates.growing import EarlierSurrogate
from dealrec.surrogates.training import SurrogateTraining

WORST, SHARE = 0.01, 0.25
"""The loss of preference, in nats, and the share of a full run's seconds that are allowed."""
_ROW = "row.json"
_METRICS = ("test_ndcg@10", "test_recall@20")


class Way(StrEnum):
    """A way to choose the coreset of a version."""

    FULL = "full"
    OTHER = "full, seed 1"
    ON = "incremental"
    FROZEN = "frozen"
    RECENT = "recent"
    RANDOM = "random"


TRAINED = (Way.FULL, Way.ON, Way.FROZEN, Way.RECENT, Way.RANDOM)
"""The ways on whose coresets the recommender is trained."""
SCORED = (Way.FULL, Way.OTHER, Way.ON)
"""The ways that train a surrogate."""
_DATA = DataOptions(split=SplitMethod.GLOBAL_TIME)
_HEADS = "tick|way|seconds|surrogate|influence|NDCG@10|overlap|rank of influence|preference"


@dataclass(frozen=True)
class Row:
    """What a way took and gave at a tick."""

    seconds: dict[str, float]
    """Of the processor, by stage."""
    metrics: dict[str, float]
    """The surrogate's, on the test users of the version."""


class Clock:
    """Notes the processor's seconds as stages begin."""

    def __init__(self) -> None:
        self._marks: list[tuple[str, float]] = []

    def __call__(self, stage: StageName) -> Reporter:
        self._marks.append((stage.value, time.process_time()))
        return SILENT

    def seconds(self) -> dict[str, float]:
        """By stage, up to now for the last one."""
        ends = [*(at for _, at in self._marks[1:]), time.process_time()]
        return {name: end - at for (name, at), end in zip(self._marks, ends, strict=True)}


class Experiment:
    """The versions of a data set, and what each way makes of each; all of it is kept in a folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        name = f"{options.data.name}-{options.begin}-{options.ticks}-{options.budget}"
        self._work: Path = options.work / name
        self.files = versions(options.data, self._work / "files", options.begin, options.ticks)

    def row(self, tick: int, way: Way) -> Row:
        """Make the coresets of a way at a tick, unless they are there."""
        folder = self._folder(tick, way)
        if not (folder / _ROW).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            made = self._frozen(tick) if way is Way.FROZEN else self._made(tick, way)
            folder.mkdir(parents=True, exist_ok=True)
            with written_whole(folder / _ROW) as part:
                part.write_text(json.dumps(asdict(made)))
        return Row(**json.loads((folder / _ROW).read_text()))

    def figures(self, tick: int, way: Way) -> Floats:
        """[runs, users] preference after training on the coresets of a way, by the users of the version."""
        encoder: list[TrainedEncoder] = []

        def trained(run: int) -> Floats:
            if not encoder:
                encoder.append(self._encoder(tick))
            source = self._folder(0, Way.FULL) if way is Way.FROZEN else self._folder(tick, way)
            return encoder[0].preference(read_members(source / str(run) / MEMBERS), run)

        return np.stack(
            [
                _kept(self._folder(tick, way) / f"{self._options.users}-{run}.npy", trained, run)
                for run in range(self._options.runs)
            ]
        )

    def agreement(self, tick: int, way: Way) -> tuple[float | None, float | None]:
        """Compare with the full run: the Jaccard similarity of coresets, Spearman's of the influence."""
        if way is Way.FULL:
            return None, None
        if way is Way.FROZEN:
            ours, theirs = (_choices(self._folder(at, Way.FULL) / "0") for at in (0, tick))
            return len(ours & theirs) / len(ours | theirs), None
        found = differences(*(self._folder(tick, one) / "0" for one in (way, Way.FULL)))
        return found.jaccard, found.correlations["influence"] if way in SCORED else None

    def _folder(self, tick: int, way: Way) -> Path:
        return self._work / f"{tick:02}" / way.replace(", ", "-").replace(" ", "-")

    def _dataset(self, tick: int) -> Dataset:
        found = EarlierRun.read(self._folder(tick, Way.FULL) / "0").folders["dataset"]
        return Dataset.load(found)

    def _made(self, tick: int, way: Way) -> Row:
        clock = Clock()
        first = self._pruned(tick, way, 0, clock)
        spent = clock.seconds()
        for run in range(1, self._options.runs if way in TRAINED else 1):
            self._pruned(tick, way, run, silent_stages)
        told = json.loads((first / MANIFEST).read_text())["stages"].get("surrogate", {})
        return Row(spent, {name: told[name] for name in _METRICS if name in told})

    def _pruned(self, tick: int, way: Way, run: int, stages: Callable[..., Reporter]) -> Path:
        """Choose one coreset; those that need no scores are chosen beside the scores of the full run."""
        out = self._folder(tick, way) / str(run)
        work = self._folder(tick, way if way in SCORED else Way.FULL) / "work"
        if not work.exists():
            self._begin(tick, work)
        selector = {} if way in SCORED else {"method": way.value}
        going_on: dict[str, Any] = {}
        if way is Way.ON:
            before = self._folder(tick - 1, Way.ON if tick > 1 else Way.FULL)
            going_on = {"continue_from": before / "0"}
        config = {
            "prompt": protocol_prompt(self._options.noun),
            "surrogate": {"seed": 1 if way is Way.OTHER else 0},
            "selection": {**selector, "seed": run},
        }
        first, *later = self.files[: tick + 1]
        result = prune(
            first.interactions,
            items=first.items,
            appended=later,
            budget=self._options.budget,
            data=_DATA,
            out=out,
            work=work,
            config=config,
            runtime=Runtime(threads=1),
            stages=stages,
            **going_on,
        )
        return result.folder

    def _begin(self, tick: int, work: Path) -> None:
        """Make the version, and a work folder that has it and nothing else."""
        made = workspace_in(self._work / "versions", Runtime(threads=1), silent_stages)
        first, *later = self.files[: tick + 1]
        with source_files(first.interactions, first.items, _DATA, appended=later) as files:
            made.ingest(files)
        _link(made.folder, work)

    def _frozen(self, tick: int) -> Row:
        """Ask the first surrogate about the version."""
        run, dataset = EarlierRun.read(self._folder(0, Way.FULL) / "0"), self._dataset(tick)
        (trained,) = load_ensemble(run.folders[StageName.SURROGATE]).members
        earlier = EarlierSurrogate(trained, Dataset.load(run.folders["dataset"]).item_ids)
        device = apply_runtime(Runtime(threads=1))
        asked = SurrogateTraining(dataset, trained.config, device, SILENT, earlier)
        values = asked.evaluate(Split.TEST).values
        return Row({}, {name: values[name.removeprefix("test_")] for name in _METRICS})

    def _encoder(self, tick: int) -> TrainedEncoder:
        return TrainedEncoder(
            self._dataset(tick),
            noun=self._options.noun,
            finetune=protocol_finetune(),
            split=HeldOut.TEST,
            users=self._options.users,
            states=self._options.work / "states",
        )


def versions(data: Path, folder: Path, begin: float, ticks: int) -> list[Addition]:
    """Write the files of each version, unless they are there; no time is cut in two."""
    rows = pa_csv.read_csv(data / "interactions.csv.gz").sort_by("timestamp")
    items = pa_csv.read_csv(data / "items.csv.gz")
    times = rows["timestamp"].to_numpy()
    wanted = np.linspace(begin, 1, ticks + 1)[:-1] * len(times)
    cuts = [0, *np.searchsorted(times, times[wanted.astype(int)]).tolist(), len(times)]
    made = []
    for at, (low, high) in enumerate(pairwise(cuts)):
        there = pc.is_in(items["item_id"], value_set=pc.unique(rows["item_id"].slice(0, high)))
        known = pc.is_in(items["item_id"], value_set=pc.unique(rows["item_id"].slice(0, low)))
        new = items.filter(pc.and_not(there, known))
        parts = {"interactions": rows.slice(low, high - low), "items": new}
        paths = {name: folder / f"{at:02}" / f"{name}.csv" for name in parts if len(parts[name])}
        for name, path in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file():
                with written_whole(path) as part:
                    pa_csv.write_csv(parts[name], part)
        made.append(Addition(**paths))
    return made


def _link(source: Path, target: Path) -> None:
    """Give a work folder the finished stages of another, without copying them."""
    shutil.copytree(
        source / "artifacts",
        target / "artifacts",
        copy_function=os.link,
        ignore=shutil.ignore_patterns("*.lock"),
    )


def _kept(path: Path, make: Callable[[int], Floats], run: int) -> Floats:
    if not path.is_file():
        with written_whole(path) as part, part.open("wb") as file:
            np.save(file, make(run))
    found: Floats = np.load(path)
    return found


def _choices(result: Path) -> set[tuple[str, str]]:
    """The users and targets of a result's members."""
    members = pq.read_table(result / MEMBERS)
    return set(zip(members["user_id"].to_pylist(), members["target"].to_pylist(), strict=True))


def report(experiment: Experiment, ticks: int) -> list[Target]:
    """Make what is missing, tick by tick, print the tables, and say what the verdict asks."""
    experiment.row(0, Way.FULL)
    rows: dict[Way, list[Row]] = {way: [] for way in Way}
    figures: dict[Way, list[Floats]] = {way: [] for way in TRAINED}
    heads = _HEADS.split("|")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for tick in range(1, ticks + 1):
        for way in Way:
            rows[way].append(experiment.row(tick, way))
        for way in Way:
            if way in TRAINED:
                figures[way].append(experiment.figures(tick, way))
            mean = float(figures[way][-1].mean()) if way in TRAINED else None
            compared = experiment.agreement(tick, way)
            print(_line(tick, way, rows[way][-1], (*compared, mean)), flush=True)
    return [*_costs(rows), *_verdicts({way: np.hstack(found) for way, found in figures.items()})]


def _line(tick: int, way: Way, row: Row, further: Sequence[float | None]) -> str:
    spent = row.seconds if way in SCORED else {}
    own = way in (*SCORED, Way.FROZEN)  # the others stand beside the full run's surrogate
    values: Sequence[tuple[float | None, str]] = (
        (sum(spent.values()) if spent else None, ".1f"),
        (spent.get("surrogate"), ".1f"),
        (spent.get("influence"), ".1f"),
        (row.metrics.get("test_ndcg@10") if own else None, ".4f"),
        *zip(further, (".3f", ".3f", ".4f"), strict=True),
    )
    cells = ["-" if value is None else format(value, kind) for value, kind in values]
    return f"| {tick} | {way} | {' | '.join(cells)} |"


def _costs(rows: Mapping[Way, Sequence[Row]]) -> list[Target]:
    def total(way: Way, stage: str | None = None) -> float:
        return sum(
            seconds
            for row in rows[way]
            for name, seconds in row.seconds.items()
            if stage in (None, name)
        )

    share = total(Way.ON) / total(Way.FULL)
    parts = [
        Target(
            f"{stage}, incremental over full",
            "-",
            total(Way.ON, stage) / total(Way.FULL, stage),
            None,
        )
        for stage in ("surrogate", "influence")
    ]
    told = Target("seconds, incremental over full", f"<= {SHARE}", share, share <= SHARE)
    return [told, *parts]


def _verdicts(figures: Mapping[Way, Floats]) -> list[Target]:
    found = []
    for one, other in (
        (Way.ON, Way.FULL),
        *((way, Way.RANDOM) for way in (Way.FULL, Way.ON, Way.FROZEN, Way.RECENT)),
        (Way.ON, Way.FROZEN),
        (Way.ON, Way.RECENT),
    ):
        gain = paired(figures[one], figures[other])
        print(
            f"preference, {one} less {other}: {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] nats"
        )
        if other is Way.FULL:
            holds = gain.low > -WORST
            found.append(
                Target(f"{one} less {other}, lower end, nats", f"> -{WORST}", gain.low, holds)
            )
    return found


def main() -> None:
    """Read the options, make what is missing, print tables and targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--noun", default="item", help="what an item is called in prompts")
    parser.add_argument("--ticks", type=int, default=8)
    parser.add_argument("--until", type=int, help="stop after this tick; default: all of them")
    parser.add_argument("--begin", type=float, default=0.4, help="the share of the first version")
    parser.add_argument("--budget", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5, help="trainings on each way's coresets")
    parser.add_argument("--users", type=int, default=2000, help="held-out users asked at most")
    options = parser.parse_args()
    print(f"{options.data.name}, {options.budget} samples, {options.runs} runs, {device_text()}")
    last = options.ticks if options.until is None else options.until
    finish("longitudinal", report(Experiment(options), last))


if __name__ == "__main__":
    main()
