"""``python -m tests.chaos``: disturb the service, and count what was lost, doubled, redone or changed."""

import argparse
import itertools
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.leaks import Leaks, count_leaks
from tests.chaos.machines import STOP_SECONDS
from tests.chaos.run import Result, chaos
from tests.chaos.watch import STAGES, Moment
from tests.chaos.work import Undisturbed, draw_work

SHAPES = ("sqlite", "postgres")


def main() -> int:
    """Exit status 0 where nothing was lost, doubled, redone or changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20240628)
    parser.add_argument("--jobs", type=int, default=26, help="of each shape")
    parser.add_argument("--disturbances", type=int, default=102, help="of each shape")
    parser.add_argument("--shape", choices=SHAPES, action="append", help="default: both")
    parser.add_argument("--no-models", action="store_true", help="leave the language model out")
    parser.add_argument("--leak-jobs", type=int, default=200, help="for the count of leaks")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(2))  # its servers are ended on the way out
    folder = Path(tempfile.mkdtemp(prefix="dealrec-chaos-"))
    print(f"seed {options.seed}; logs in {folder}", flush=True)
    undisturbed = Undisturbed(folder / "undisturbed")
    models, begun = not options.no_models, time.monotonic()
    for work in itertools.islice(draw_work(options.seed, models=models), options.jobs):
        undisturbed(work)
    print(f"{options.jobs} undisturbed jobs: {time.monotonic() - begun:.0f} s", flush=True)
    results, leaks = [], []
    for shape in options.shape or SHAPES:
        print(f"{shape}:", flush=True)
        result = chaos(
            shape,
            folder / shape,
            undisturbed,
            seed=options.seed,
            jobs=options.jobs,
            disturbances=options.disturbances,
            models=models,
        )
        _show(result)
        results.append(result)
        if options.leak_jobs:
            found = count_leaks(shape, folder / f"{shape}-rest", undisturbed, options.leak_jobs)
            print(f"  before {options.leak_jobs} jobs: {found.before}\n  after: {found.after}")
            leaks.append(found)
    return _finish(options.seed, results, leaks)


def _show(result: Result) -> None:
    for kind, count in sorted(result.disturbances.items()):
        print(f"  {kind:24} {count:4}")
    print(f"  {'hits':24}" + "".join(f"{moment:>14}" for moment in Moment))
    for stage in STAGES:
        print(f"  {stage:24}" + "".join(f"{result.hits[stage, moment]:14}" for moment in Moment))
    print(
        f"  {result.jobs} jobs in {result.seconds:.0f} s; slowest POST without a broker "
        f"{result.slowest_post:.2f} s; slowest end after SIGTERM {result.slowest_end:.1f} s"
    )
    verdict = result.verdict
    for finding in [*verdict.lost, *verdict.duplicated, *verdict.redone, *verdict.differ]:
        print(f"  ! {finding}")
    for orphan in result.orphans:
        print(f"  ! still alive: {orphan}")


def _finish(seed: int, results: list[Result], leaks: list[Leaks]) -> int:
    """The last line; lost, duplicated, redone, different and left behind must be 0."""
    verdicts = [result.verdict for result in results]
    line = {
        "name": "chaos",
        "seed": seed,
        "shapes": [result.shape for result in results],
        "disturbances": sum(sum(result.disturbances.values()) for result in results),
        "jobs": sum(result.jobs for result in results),
        "lost": sum(len(verdict.lost) for verdict in verdicts),
        "duplicated_effects": sum(len(verdict.duplicated) for verdict in verdicts),
        "finished_stages_redone": sum(len(verdict.redone) for verdict in verdicts),
        "coresets_that_differ": sum(len(verdict.differ) for verdict in verdicts),
    }
    line["stages_not_hit_in_progress"] = sorted(
        f"{result.shape}: {stage}"
        for result in results
        for stage in STAGES
        if not result.hits[stage, Moment.INSIDE]
    )
    left_behind = sum(found.left_behind for found in leaks)
    left_behind += sum(len(result.orphans) for result in results)
    slowest = round(max(result.slowest_end for result in results), 1)
    line |= {"left_behind": left_behind, "slowest_shutdown_seconds": slowest}
    print(json.dumps(line), flush=True)
    clean = all(verdict.clean for verdict in verdicts) and not left_behind
    return 0 if clean and slowest < STOP_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
