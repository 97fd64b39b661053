"""A job's events as a stream."""

import json
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy.pool import QueuePool

from dealrec.app.kit.database import Database
from dealrec.app.stages.events import record
from dealrec.app.tables.jobs import JobRow
from tests.app.conftest import Finisher
from tests.worker.processes import until

STREAM = {"accept": "text/event-stream"}


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    """The application behind a real socket: a test client answers only once a body has ended."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    socket = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    until(lambda: server.started, 20)
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


def events_of(lines: Iterator[str]) -> Iterator[dict]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        fields[name] = value
        if not line and "data" in fields:
            event = json.loads(fields["data"])
            assert event["sequence"] == int(fields["id"])
            fields = {}
            yield event


@pytest.fixture
def job(address: str, finisher: Finisher) -> dict:
    body = {"dataset_id": finisher.dataset().id, "budget": 5}
    return httpx.post(f"{address}/v1/jobs", json=body).json()


def test_a_stream_replays_follows_and_ends_with_the_job(
    address: str, job: dict, database: Database
) -> None:
    url = f"{address}/v1/jobs/{job['id']}/events"
    listed = httpx.get(url).json()["data"]
    with httpx.stream("GET", url, headers=STREAM, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = events_of(answer.iter_lines())
        assert [next(events) for _ in listed] == listed
        with database.session() as session:
            record(session, session.get_one(JobRow, job["id"]), "test.note", "effort", shown=1)
        assert next(events)["data"] == {"shown": 1}
        httpx.post(f"{address}/v1/jobs/{job['id']}/cancel")
        rest = list(events)
    assert rest[-1]["kind"] == "job.cancelled"
    after = {"last-event-id": str(rest[-1]["sequence"] - 1)}
    with httpx.stream("GET", url, headers=STREAM | after, timeout=20) as answer:
        assert list(events_of(answer.iter_lines())) == rest[-1:]
    everything = {"last-event-id": str(rest[-1]["sequence"])}
    assert httpx.get(url, headers=STREAM | everything).status_code == 204


def test_a_stream_holds_no_connection_and_ends_where_its_job_is_deleted(
    address: str, job: dict, app: FastAPI, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    url = f"{address}/v1/jobs/{job['id']}"
    pool = app.state.database.engine.pool
    assert isinstance(pool, QueuePool)
    with httpx.stream("GET", f"{url}/events", headers=STREAM, timeout=20) as answer:
        events = events_of(answer.iter_lines())
        next(events)
        eventually(lambda: pool.checkedout() == 0)
        httpx.post(f"{url}/cancel")
        httpx.delete(url)
        list(events)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    return wait


def test_streams_of_nothing_are_problems(address: str, job: dict) -> None:
    unknown = httpx.get(f"{address}/v1/jobs/job_x/events", headers=STREAM)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    url = f"{address}/v1/jobs/{job['id']}/events"
    bad = httpx.get(url, headers=STREAM | {"last-event-id": "x"})
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_cursor")
