"""Does a comparison over HTTP end in its report, though it is paused and its process is killed?

``python -m benchmarks.comparison --data FOLDER --users 3000`` on SmolLM2-135M; ``FOLDER`` has
``interactions.csv.gz`` and ``items.csv.gz``.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from benchmarks._report import Target, finish, timed
from benchmarks._server import served
from dealrec.app.settings import Settings
from dealrec.config import ComparisonConfig

_PROMPT = {"item_noun": "game", "history_items": 5, "title_characters": 60}
"""Short texts: what two cores can read many of."""
_ENDED = ("succeeded", "failed", "cancelled")


def main() -> None:
    """Print what happens, the report's findings, and the targets as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=int, default=3000)
    parser.add_argument("--budgets", default="256")
    parser.add_argument("--selectors", default="dealrec,stratified_random,influence")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder that gets report.html and report.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dealrec-bench-") as name:
        folder = Path(name)
        interactions = _first_users(options.data / "interactions.csv.gz", options.users, folder)
        settings = Settings(data_dir=folder / "data", torch_threads=os.cpu_count())
        with (
            served(settings) as (base, service),
            httpx.Client(base_url=base, timeout=60) as client,
        ):
            dataset = _upload(client, interactions, options.data / "items.csv.gz")
            asked = {
                "dataset_id": dataset["id"],
                "budgets": json.loads(f"[{options.budgets}]"),
                "selectors": options.selectors.split(","),
                "seeds": options.seeds,
                "despite_no_headroom": True,
                "config": {"prompt": _PROMPT},
            }
            targets = _compare(client, asked, psutil.Process(service.pid), options.keep)
    finish("comparison", targets)


def _compare(
    client: httpx.Client, asked: dict[str, Any], service: psutil.Process, keep: Path | None
) -> list[Target]:
    job = _posted(client.post("/v1/comparisons", json=asked))
    runs = ComparisonConfig.parse(job["config"]).run_count
    print(f"{job['id']}: {runs} trainings planned", flush=True)
    _until(client, job, lambda now: _stage(now)["metrics"].get("runs", 0) >= 1)
    with timed() as pause:
        _posted(client.post(f"/v1/jobs/{job['id']}/pause"))
        _until(client, job, lambda now: now["state"] == "paused")
    _posted(client.post(f"/v1/jobs/{job['id']}/resume"))
    before = _until(client, job, lambda now: _stage(now)["metrics"].get("runs", 0) >= 2)
    _kill_stage(service)
    print(f"killed after {_stage(before)['metrics']['runs']:.0f} trainings", flush=True)
    done = _until(client, job, lambda now: now["state"] in _ENDED)
    print(f"{done['state']}; stages: { {s['name']: s['seconds'] for s in done['stages']} }")
    report = _posted(client.get(f"/v1/jobs/{job['id']}/report", params={"format": "json"}))
    page = client.get(f"/v1/jobs/{job['id']}/report").raise_for_status()
    for sentence in (report["verdict"], *report["findings"], *report["warnings"]):
        print("-", sentence)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / "report.html").write_bytes(page.content)
        (keep / "report.json").write_text(json.dumps(report, indent=2))
    with timed() as again:
        second = _posted(client.post("/v1/comparisons", json=asked))
        _until(client, second, lambda now: now["state"] in _ENDED)
    same = _posted(client.get(f"/v1/jobs/{second['id']}/report", params={"format": "json"}))
    made, false = len(report["runs"]), report["same_against_same"]["simulated_rejected"]
    return [
        Target("trainings in the report", f"= {runs}", made, made == runs),
        Target("seconds until it was paused", "<= 5", pause.seconds, pause.seconds <= 5),
        Target(
            "random against random: share of simulated tests that show a difference",
            "<= 0.1",
            false,
            false <= 0.1,
        ),
        Target(
            "the same asked again: seconds until the same report",
            "<= 15",
            again.seconds,
            again.seconds <= 15 and same == report,
        ),
        Target(
            "scripts in the page", "= 0", page.text.count("<script"), "<script" not in page.text
        ),
    ]


def _first_users(source: Path, users: int, folder: Path) -> Path:
    """The rows of the first users of the file, in a file of their own."""
    options = pcsv.ConvertOptions(column_types={"user_id": pa.string(), "item_id": pa.string()})
    table = pcsv.read_csv(source, convert_options=options)
    first = pc.unique(table["user_id"]).slice(0, users)
    path = folder / "interactions.csv"
    pcsv.write_csv(table.filter(pc.is_in(table["user_id"], value_set=first)), path)
    return path


def _upload(client: httpx.Client, interactions: Path, items: Path) -> dict[str, Any]:
    with interactions.open("rb") as one, items.open("rb") as two:
        files = {"interactions": (interactions.name, one), "items": (items.name, two)}
        dataset = _posted(client.post("/v1/datasets", files=files, data={"name": "games"}))
    while dataset["state"] == "validating":
        time.sleep(0.5)
        dataset = _posted(client.get(f"/v1/datasets/{dataset['id']}"))
    print(f"data set {dataset['state']}: {dataset['counts']}", flush=True)
    return dataset


def _until(
    client: httpx.Client, job: dict[str, Any], reached: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The job as soon as ``reached`` holds of it; ends the benchmark where it has failed."""
    said = ""
    while True:
        now = _posted(client.get(f"/v1/jobs/{job['id']}"))
        if now["state"] == "failed":
            raise SystemExit(json.dumps(now["error"]))
        states = ", ".join(f"{stage['name']} {stage['state']}" for stage in now["stages"])
        if states != said:
            print(states, flush=True)
            said = states
        if reached(now):
            return now
        time.sleep(0.2)


def _stage(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = job["stages"][-1]
    return found


def _kill_stage(service: psutil.Process) -> None:
    for process in service.children(recursive=True):
        if process.name().startswith("stage:"):
            process.kill()


def _posted(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise SystemExit(answer.text)
    found: dict[str, Any] = answer.json()
    return found


if __name__ == "__main__":
    main()
