"""``dealrec demo`` starts the service, posts sample data, and fetches a coreset and an adapter.

Everything goes through HTTP, as a client on another machine would do it.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dealrec.config.sample_data import SampleKind
from dealrec.errors import DealrecError, InputError
from dealrec.options import JsonOption
from dealrec.terminal import examples, print_json, say

if TYPE_CHECKING:
    from dealrec.client import Client
    from dealrec.client.resources import Job
    from dealrec.client.transport import BlockingTransport

BUDGET = 96
CONFIG: dict[str, Any] = {
    "prompt": {"item_noun": "story", "history_items": 6},
    "effort": {"model": "smollm2-135m"},
    "selection": {"method": "dealrec"},
    "finetune": {"model": "smollm2-135m"},
}


@examples("dealrec sample-data sample --users 300 --items 150")
def sample_data_command(
    folder: Annotated[Path, typer.Argument(help="Folder for interactions.csv and items.csv.")],
    users: Annotated[int, typer.Option(min=10, max=10_000_000, help="How many users.")] = 1000,
    items: Annotated[int, typer.Option(min=20, max=1_000_000, help="How many items.")] = 500,
    seed: Annotated[
        int, typer.Option(min=0, help="The random seed. The same seed gives the same data.")
    ] = 0,
    kind: Annotated[SampleKind, typer.Option(help="The kind of data.")] = SampleKind.SEQUENCES,
    json: JsonOption = False,
) -> None:
    """Write a synthetic data set with titles and genres, to try things out."""
    from dealrec.data.regimes import write_kind

    write_kind(folder, kind, users=users, items=items, seed=seed)
    if json:
        facts = {"users": users, "items": items, "seed": seed, "kind": kind.value}
        print_json({"folder": str(folder), **facts})
    else:
        say(f"{folder / 'interactions.csv'}\n{folder / 'items.csv'}")


@examples("dealrec demo --out demo")
def demo_command(
    out: Annotated[Path, typer.Option(help="A new or empty folder for the results.")],
) -> None:
    """Run the service once on sample data, which gives a coreset, a report and a LoRA adapter."""
    from dealrec.data.synthetic import write_sample_data

    begun = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise InputError(
            f"{out} already holds files. Give the demo a new or empty folder.", code="folder_in_use"
        )
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
def service(data_dir: Path) -> Iterator["Client"]:
    """Run ``dealrec serve`` on a free port and give a client for it."""
    from dealrec.client import Client

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data_dir.mkdir(parents=True)
    url = f"http://127.0.0.1:{port}"
    with (data_dir / "service.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
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
    """Poll ``/healthz``; raises :class:`DealrecError` with the log if the service does not start."""
    import httpx

    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise DealrecError(log.read_text(encoding="utf-8"), title="The service did not start")


def fetch(job: "Job[BlockingTransport]", out: Path) -> None:
    """Download the coreset, its manifest and report, and unpack the adapter."""
    coreset = job.coreset
    coreset.download(out / "coreset.jsonl")
    (out / "manifest.json").write_text(json.dumps(coreset.manifest(), indent=2), encoding="utf-8")
    coreset.download_report(out / "report.html")
    archive = job.adapter.download(out / "adapter.zip")
    shutil.unpack_archive(archive, out / "adapter")
    archive.unlink()
