"""Starts the service, posts sample data to it, and brings back a coreset and a LoRA adapter.

Everything goes through HTTP, as a client on another machine would do it.
"""

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from dealrec.client import ApiError, Client
from dealrec.client.resources import Job
from dealrec.client.transport import BlockingTransport
from dealrec.data.synthetic import write_sample_data
from dealrec.terminal import say

BUDGET = 96
CONFIG: dict[str, Any] = {
    "prompt": {"item_noun": "story", "history_items": 6},
    "effort": {"model": "smollm2-135m"},
    "selection": {"method": "dealrec"},
    "finetune": {"model": "smollm2-135m"},
}


def main() -> None:
    """Leave everything that the demo promises in its folder; raises :class:`ApiError`."""
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
        say(f"   at {client.transport.server.url}")
        say(f"3. Posting the data with a budget of {BUDGET} samples")
        data = out / "data"
        job = client.prune(
            data / "interactions.csv", items=data / "items.csv", budget=BUDGET, config=CONFIG
        )
        say(f"   {job.id}")
        job = job.wait(progress=True)
        say("4. Fetching the results")
        fetch(job, out)
    shutil.rmtree(out / "service")
    for name in ("coreset.jsonl", "manifest.json", "report.html", "adapter"):
        say(f"   {out / name}")
    say(f"Done in {time.monotonic() - begun:.0f} s. Open {out / 'report.html'} in a browser.")


@contextmanager
def service(data_dir: Path) -> Iterator[Client]:
    """``dealrec serve`` on a free port, and a client for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data_dir.mkdir(parents=True)
    url = f"http://127.0.0.1:{port}"
    with (data_dir / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dealrec", "serve", f"--port={port}", f"--data-dir={data_dir}"],
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_up(url, process, data_dir / "service.log")
        with Client(url) as client:
            yield client
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll ``/healthz``; raises ``SystemExit`` with the log where the service does not come up."""
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"The service did not start:\n{log.read_text()}")


def fetch(job: Job[BlockingTransport], out: Path) -> None:
    """Coreset, manifest, report, and the adapter's folder."""
    coreset = job.coreset
    coreset.download(out / "coreset.jsonl")
    (out / "manifest.json").write_text(json.dumps(coreset.manifest(), indent=2), encoding="utf-8")
    coreset.download_report(out / "report.html")
    archive = job.adapter.download(out / "adapter.zip")
    shutil.unpack_archive(archive, out / "adapter")
    archive.unlink()


if __name__ == "__main__":
    try:
        main()
    except ApiError as error:
        sys.exit(f"{error.title}: {error.detail}")
