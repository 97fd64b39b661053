"""Asks the service for jobs, and asks again for as long as it does not answer."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.work import Work, data_files

_PATIENCE = 60.0


@dataclass
class Posted:
    """A job that the service took."""

    id: str
    work: Work
    asked_to_cancel: bool = False
    seconds: float = 0.0
    """The seconds that the answering request took."""


class Client:
    """One caller, over HTTP, with the patience that a caller of a real service needs."""

    def __init__(self, url: str, data: Path, keep_up: Callable[[], None]) -> None:
        self._http = httpx.Client(base_url=url, timeout=10.0)
        self._data = data
        self._keep_up = keep_up
        self._datasets: dict[str, str] = {}

    def close(self) -> None:
        self._http.close()

    def post(self, work: Work) -> Posted:
        """Have the job taken; a repeated request carries the same idempotency key."""
        metadata = {"work": work.name}
        if work.own_upload:
            form = {
                "budget": str(work.budget),
                "config": json.dumps(work.config),
                "metadata": json.dumps(metadata),
            }
            answer = self._upload("/v1/prune", work.data, work.name, form)
        else:
            if work.data not in self._datasets:
                made = self._upload("/v1/datasets", work.data, f"data-{work.data}", {})
                self._datasets[work.data] = made.json()["id"]
            body = {
                "dataset_id": self._datasets[work.data],
                "budget": work.budget,
                "config": work.config,
                "metadata": metadata,
            }
            answer = self._patient(
                "POST", "/v1/jobs", json=body, headers={"idempotency-key": work.name}
            )
        return Posted(answer.json()["id"], work, seconds=answer.elapsed.total_seconds())

    def ask(self, job: Posted, action: str) -> int:
        """Do something to the job, e.g. ``cancel``; the status of the answer."""
        return self._patient("POST", f"/v1/jobs/{job.id}/{action}", accept=(409,)).status_code

    def job(self, identifier: str) -> dict[str, Any]:
        """The job as it is now."""
        found: dict[str, Any] = self._patient("GET", f"/v1/jobs/{identifier}").json()
        return found

    def _upload(self, path: str, data: str, key: str, form: dict[str, str]) -> httpx.Response:
        interactions, items = data_files(self._data, data)
        files = {
            "interactions": ("interactions.csv", interactions.read_bytes()),
            "items": ("items.csv", items.read_bytes()),
        }
        return self._patient("POST", path, files=files, data=form, headers={"idempotency-key": key})

    def _patient(
        self, method: str, path: str, accept: tuple[int, ...] = (), **options: Any
    ) -> httpx.Response:
        """Ask until there is an answer: again while the service is away or says that it failed (5xx)."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                answer = self._http.request(method, path, **options)
                if answer.is_success or answer.status_code in accept:
                    return answer
                if answer.status_code < 500 and answer.status_code != 409:
                    answer.raise_for_status()
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"{method} {path}: no answer in {_PATIENCE:g} s"
            self._keep_up()
            time.sleep(0.2)
