"""Does a large upload survive the death of its sender, and does the API stay small meanwhile?

``python -m benchmarks.upload``: writes synthetic interactions, sends them with ``dealrec upload``,
kills that process twice on the way, and has a third one finish. Needs three times the file's size
on the disk of ``--folder``, and gives it back.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from benchmarks._report import Target, finish, timed
from benchmarks._server import log_path, served
from dealrec.app.settings import Settings
from dealrec.disk import file_sha256

_BLOCK_ROWS = 100_000
_KILLED_AT = (1 / 3, 2 / 3)
"""Shares of the file that have arrived when the sender is killed."""
_LARGEST_MIB = 300


@dataclass(frozen=True)
class Outcome:
    """The outcome of an upload whose sender was killed."""

    seconds: float
    parts: int
    stored: int
    """Parts that the service took: more than ``parts`` where one was sent twice."""
    same: bool
    """Whether the service has the file to the byte."""
    peak_mib: float
    """Largest resident size of the API's process."""


def main() -> None:
    """Print progress, a table, and the targets as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=2048, help="of the file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for everything; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dealrec-bench-", dir=options.folder) as name:
        folder = Path(name)
        with timed() as watch:
            path = write_interactions(folder, options.mebibytes * 2**20, options.seed)
        print(f"wrote {path.stat().st_size:,} bytes in {watch.seconds:.0f} s", flush=True)
        outcome = interrupted_upload(path, Settings(data_dir=folder / "service"))
    rate = options.mebibytes / outcome.seconds
    print(
        f"{outcome.parts} parts, {outcome.stored} stored, {outcome.seconds:.0f} s with both "
        f"restarts ({rate:.0f} MiB/s); API at most {outcome.peak_mib:.0f} MiB",
        flush=True,
    )
    twice = outcome.stored - outcome.parts
    finish(
        "upload",
        [
            Target(
                f"peak memory of the API for {options.mebibytes:,} MiB, MiB",
                f"< {_LARGEST_MIB}",
                outcome.peak_mib,
                outcome.peak_mib < _LARGEST_MIB,
            ),
            Target("parts sent twice after two kills", "= 0", twice, twice == 0),
            Target("bytes as sent (SHA-256)", "= 1", float(outcome.same), outcome.same),
        ],
    )


def write_interactions(folder: Path, size: int, seed: int) -> Path:
    """A CSV of ``user_id,item_id,timestamp`` of at least ``size`` bytes, drawn from ``seed``."""
    path, draw, user = folder / "interactions.csv", np.random.default_rng(seed), 0
    names = ["user_id", "item_id", "timestamp"]
    schema = pa.schema([(name, pa.int64()) for name in names])
    with path.open("wb") as file, pc.CSVWriter(file, schema) as writer:
        while file.tell() < size:
            lengths = draw.integers(5, 16, size=_BLOCK_ROWS // 10)
            users = np.repeat(np.arange(user, user + len(lengths)), lengths)
            items = (200_000 * draw.random(len(users)) ** 3).astype(np.int64)
            times = 1_500_000_000 + draw.integers(0, 10**8, size=len(users))
            writer.write(pa.table([users, items, times], schema=schema))
            user += len(lengths)
    return path


def interrupted_upload(path: Path, settings: Settings) -> Outcome:
    """Send ``path`` to a service of its own, with the sender killed twice."""
    cache = settings.data_dir / "cache"
    environment = {**os.environ, "DEALREC_CACHE_DIR": str(cache)}
    with served(settings) as (base, service), timed() as watch:
        command = [sys.executable, "-m", "dealrec", "upload", str(path), "--server", base, "--json"]
        for share in _KILLED_AT:
            sender = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            arrived = _kill_at(sender, share, base, cache)
            print(f"sender killed with {arrived:,} bytes there", flush=True)
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        upload = json.loads(done.stdout)
        peak = _peak_mib(service.pid)
    parts = -(-upload["bytes"] // upload["part_bytes"])
    same = upload["state"] == "complete" and upload["sha256"] == file_sha256(path)
    return Outcome(watch.seconds, parts, _stored_parts(settings), same, peak)


def _kill_at(sender: subprocess.Popen[bytes], share: float, base: str, cache: Path) -> int:
    """Kill the sender once ``share`` of the file is there; gives the bytes that are."""
    while True:
        notes = list((cache / "uploads").glob("*.json"))
        if notes:
            identifier = json.loads(notes[0].read_text())["upload_id"]
            upload = httpx.get(f"{base}/v1/uploads/{identifier}").json()
            if upload["received_bytes"] >= share * upload["bytes"]:
                break
        if sender.poll() is not None:
            raise RuntimeError("the sender ended before it could be killed")
        time.sleep(0.02)
    sender.send_signal(signal.SIGKILL)
    sender.wait()
    arrived: int = httpx.get(f"{base}/v1/uploads/{identifier}").json()["received_bytes"]
    return arrived


def _stored_parts(settings: Settings) -> int:
    """Parts that the service answered with success, by its log."""
    lines = log_path(settings).read_text().splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    return sum(
        entry.get("method") == "PUT" and "/parts/" in entry["path"] and entry["status"] == 200
        for entry in entries
    )


def _peak_mib(process: int) -> float:
    """The largest resident size of a running process so far, as Linux counts it."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc does not say how large the process was")


if __name__ == "__main__":
    main()
