"""The API under fire: a real server on a real database, with objects that a real job has left.

No worker runs while requests rain: jobs that they make are taken, paused, cancelled and deleted, but
never trained.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from pydantic import SecretStr

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from tests.chaos.machines import Postgres
from tests.chaos.run import free_ports
from tests.fuzz.objects import comparison, finished, pause_and_fail, real_objects
from tests.worker.makers import TINY
from tests.worker.processes import ROOT, environment

KEY = "dr_for_the_fuzzer_and_nobody_else"
HOOK = "https://1.1.1.1/hooks"
"""An address that is public; without a worker nothing is sent to it."""
PAUSED = "paused"
"""Among the spare things: jobs that can be resumed."""
COMPARISON = "comparison"
"""Among the spare things: a job with a report. It stays."""
_NO_WORKER = {"DEALREC_BROKER_URL": "memory://"}
"""With a broker, ``serve`` starts no worker of its own; this one lies in the API's own memory."""


@dataclass(frozen=True)
class Server:
    """A server that answers, and the ids of what it holds."""

    url: str
    headers: dict[str, str]
    process: psutil.Process
    ids: dict[str, list[str]]
    """Path parameter to the ids of things that are to stay."""
    spare: dict[str, list[str]]
    """Path parameter to the ids of things that may go."""

    def rss(self) -> int:
        """Bytes of resident memory of the API's process."""
        return int(self.process.memory_info().rss)


@contextlib.contextmanager
def database_url(shape: str, folder: Path) -> Iterator[str | None]:
    """``sqlite``: the default, in the data folder. ``postgres``: a server of its own in ``folder``."""
    if shape == "sqlite":
        yield None
        return
    postgres = Postgres(folder)
    try:
        yield postgres.url
    finally:
        postgres.stop()


@contextlib.contextmanager
def serve(folder: Path, url: str | None, *, keys: bool) -> Iterator[Server]:
    """Serve from ``folder`` on the database at ``url``; with ``keys``, only :data:`KEY` opens."""
    # Not the catalogue of whoever runs this: the requests add models.
    given: dict[str, Any] = {"models": folder / "models.toml"} | (
        {"database_url": url} if url else {}
    )
    if keys:
        given["bootstrap_key"] = SecretStr(KEY)
    settings = Settings(data_dir=folder / "data", poll_seconds=0.05, torch_threads=1, **given)
    database = Database(settings)
    database.migrate()
    headers = {"authorization": f"Bearer {KEY}"} if keys else {}
    variables = {**environment(settings), **_NO_WORKER}
    # Not by whether a key exists: the requests make keys.
    variables["DEALREC_REQUIRE_KEYS"] = str(keys)
    if keys:
        variables["DEALREC_BOOTSTRAP_KEY"] = KEY
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "dealrec", "serve", "--port", str(port)]
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=base, headers=headers, timeout=120) as client:
            _wait_until_it_answers(client)
            ids = real_objects(client, settings)
            storage = Storage(settings)
            stays, goes = (finished(database, storage, folder / name) for name in ("a", "b"))
            paused, failed = pause_and_fail(client, database, ids)
            hooks = [client.post("/v1/webhooks", json={"url": HOOK}).json()["id"] for _ in range(2)]
            ids["webhook_id"] = hooks
            ids["delivery_id"] = [
                client.post(f"/v1/webhooks/{hook}/ping").json()["id"] for hook in hooks
            ]
            order = {"budget": 10, "config": TINY}
            body = {"name": "x", "dataset_id": ids["dataset_id"][0], "job": order}
            body["trigger"] = {"kind": "on_version"}
            schedules = [client.post("/v1/schedules", json=body).json()["id"] for _ in range(3)]
            ids["schedule_id"] = schedules[1:]
            if keys:  # the one that requests show is not to be revoked
                ids["key_id"] = [key["id"] for key in client.get("/v1/keys").json()["data"]]
        for name, value in stays.items():
            ids.setdefault(name, []).append(value)
        compared = comparison(database, storage, stays["dataset_id"], folder / "c")
        ids["job_id"].append(compared)
        spare = {name: [value] for name, value in goes.items()} | {COMPARISON: [compared]}
        spare["job_id"] += failed
        spare["schedule_id"] = schedules[:1]
        spare[PAUSED] = paused
        yield Server(base, headers, psutil.Process(process.pid), ids, spare)
    finally:
        process.terminate()
        process.wait(30)
        database.dispose()


def _wait_until_it_answers(client: httpx.Client) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            client.get("/healthz").raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
