"""Starts the service, posts sample data to it, and brings back a coreset and a LoRA adapter.

Everything goes through HTTP, as a client on another machine would do it.
"""

import argparse
import io
import json
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from dealrec.config.stages import StageName
from dealrec.data.synthetic import write_sample_data
from dealrec.terminal import say, stage_display

BUDGET = 96
CONFIG: dict[str, Any] = {
    "prompt": {"item_noun": "story", "history_items": 6},
    "effort": {"model": "smollm2-135m"},
    "finetune": {"model": "smollm2-135m"},
}
ENDED = {"succeeded", "failed", "cancelled"}


def main() -> int:
    """Run the demo; 0 when everything that it promises lies in the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/demo"))
    out: Path = parser.parse_args().out
    begun = time.monotonic()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    say("1. Sample data: 1,000 users, 500 titles")
    write_sample_data(out / "data")
    say("2. Starting the service")
    with service(out / "service") as client:
        say(f"   at {client.base_url}")
        say(f"3. Posting the data with a budget of {BUDGET} samples")
        job = submit(client, out / "data")
        say(f"   {job['id']}")
        job = watch(client, job["id"])
        if job["state"] != "succeeded":
            say(f"The job ended as {job['state']}: {json.dumps(job['error'], indent=2)}")
            return 1
        say("4. Fetching the results")
        fetch(client, job, out)
    shutil.rmtree(out / "service")
    for name in ("coreset.jsonl", "manifest.json", "report.html", "adapter"):
        say(f"   {out / name}")
    say(f"Done in {time.monotonic() - begun:.0f} s. Open {out / 'report.html'} in a browser.")
    return 0


@contextmanager
def service(data_dir: Path) -> Iterator[httpx.Client]:
    """``dealrec serve`` on a free port, and a client for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data_dir.mkdir(parents=True)
    with (data_dir / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dealrec", "serve", f"--port={port}", f"--data-dir={data_dir}"],
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_up(client, process, data_dir / "service.log")
            yield client
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until_up(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll ``/healthz``; raises ``SystemExit`` with the log where the service does not come up."""
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            if client.get("/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"The service did not start:\n{log.read_text()}")


def submit(client: httpx.Client, data: Path) -> dict[str, Any]:
    """One call: the files, the budget, the configuration."""
    with (data / "interactions.csv").open("rb") as rows, (data / "items.csv").open("rb") as items:
        response = client.post(
            "/v1/prune",
            files={"interactions": rows, "items": items},
            data={"budget": str(BUDGET), "config": json.dumps(CONFIG)},
        )
    return checked(response)


def watch(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Show every stage's progress until the job has ended."""
    with stage_display() as stages:
        reporters: dict[str, Any] = {}
        while True:
            job = checked(client.get(f"/v1/jobs/{job_id}"))
            for stage in job["stages"]:
                if stage["state"] in ("waiting", "queued"):
                    continue
                if stage["name"] not in reporters:
                    reporters[stage["name"]] = stages(StageName(stage["name"]))
                reporter, progress = reporters[stage["name"]], stage["progress"]
                for name, value in (stage["metrics"] or {}).items():
                    if "@" in name or "loss" in name:
                        reporter.metric(name, value)
                if progress and progress["total"]:
                    reporter.progress(progress["done"], progress["total"], progress["unit"])
            if job["state"] in ENDED:
                return job
            time.sleep(0.5)


def fetch(client: httpx.Client, job: dict[str, Any], out: Path) -> None:
    """Coreset, manifest, report, and the adapter's folder."""
    coreset = f"/v1/coresets/{job['coreset_id']}"
    for name, address in (
        ("coreset.jsonl", f"{coreset}/download?format=jsonl"),
        ("manifest.json", f"{coreset}/manifest"),
        ("report.html", f"{coreset}/report"),
    ):
        (out / name).write_bytes(raised(client.get(address)).content)
    archive = raised(client.get(f"/v1/adapters/{job['adapter_id']}/download")).content
    with zipfile.ZipFile(io.BytesIO(archive)) as adapter:
        adapter.extractall(out / "adapter")


def checked(response: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object, or ``SystemExit`` with the problem."""
    body: dict[str, Any] = raised(response).json()
    return body


def raised(response: httpx.Response) -> httpx.Response:
    """The answer, or ``SystemExit`` with the problem."""
    if response.is_error:
        raise SystemExit(f"{response.request.url} answered {response.status_code}: {response.text}")
    return response


if __name__ == "__main__":
    sys.exit(main())
