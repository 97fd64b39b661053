"""The whole OpenAPI document under fire: ``python -m tests.fuzz``."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.campaign import Depth, Tally, run_campaign
from tests.fuzz.server import database_url, serve

SHAPES = ("sqlite", "postgres")


def main() -> int:
    """Each database with and without keys; the last line sums up; 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=SHAPES, action="append")
    parser.add_argument("--cases", type=int, default=10_000, help="on each database, at least")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sums = [_shape(name, given.cases, given.seed) for name in given.database or SHAPES]
    print("fuzz: " + "; ".join(text for text, _ in sums))
    return 0 if all(clean for _, clean in sums) else 1


def _shape(name: str, cases: int, seed: int) -> tuple[str, bool]:
    begun = time.monotonic()
    tallies = [_campaign(name, cases // 2, seed, keys=keys) for keys in (False, True)]
    count = sum(tally.cases for tally in tallies)
    failures = sum(len(tally.failures) for tally in tallies)
    seconds = time.monotonic() - begun
    return f"{name} {count:,} cases, {failures} failures, {seconds:.0f} s", not failures


def _campaign(name: str, cases: int, seed: int, *, keys: bool) -> Tally:
    # Folders of their own right under /tmp: a socket's path may have 100 characters.
    with (
        tempfile.TemporaryDirectory(prefix="dealrec-fuzz-") as folder,
        tempfile.TemporaryDirectory(prefix="dealrec-pg-") as servers,
        database_url(name, Path(servers) / "pg") as url,
        serve(Path(folder), url, keys=keys) as server,
    ):
        before = server.rss()
        tally = run_campaign(server, cases=cases, seed=seed, depth=Depth())
        grown = (server.rss() - before) / 2**20
        log = (Path(folder) / "api.log").read_text(errors="replace")
    for label in tally.never_succeeded():
        tally.failures[(label, "never succeeded")] = "No request got through to it."
    _report(f"{name}, {'with' if keys else 'without'} keys", tally, grown, log)
    return tally


def _report(title: str, tally: Tally, grown: float, log: str) -> None:
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(tally.statuses.items()))
    print(
        f"{title}: {tally.cases:,} cases on {len(tally.succeeded)} operations; {statuses};", end=""
    )
    print(f" memory of the API {grown:+.0f} MiB", flush=True)
    for (label, check), text in sorted(tally.failures.items()):
        print(f"\n## {label}: {check}\n{text}")
    for line in log.splitlines():
        if "internal_error" in line or "Traceback" in line:
            print(line)


if __name__ == "__main__":
    sys.exit(main())
