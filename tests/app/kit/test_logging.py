"""A line of the log names the place of an error, and no content."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.kit.logging import configure_logging, in_context


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Lines are no matter of the database."""
    return sqlite_url


@pytest.fixture(autouse=True)
def _as_the_service_does() -> None:
    configure_logging()


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_every_line_of_a_request_has_its_id_and_its_tenant(
    app: FastAPI, client: TestClient, make_key, capfd: pytest.CaptureFixture[str]
) -> None:
    key = make_key("team-a")

    @app.get("/v1/said")
    def said() -> None:
        structlog.get_logger("test").warning("in a thread")
        logging.getLogger("a library").warning("of another kind")
        raise RuntimeError

    capfd.readouterr()
    answer = client.get("/v1/said", headers=key)
    assert answer.status_code == 500
    ours = [line for line in lines(capfd) if line.get("logger") not in ("httpx", "httpx2")]
    assert {line["event"] for line in ours} == {
        "in a thread",
        "of another kind",
        "internal_error",
        "request",
    }
    for line in ours:
        assert line["request_id"] == answer.headers["x-request-id"]
        assert line["tenant"] == "team-a"


def test_requests_at_once_keep_their_lines_apart(
    client: TestClient, make_key, capfd: pytest.CaptureFixture[str]
) -> None:
    keys = {tenant: make_key(tenant) for tenant in ("team-a", "team-b")}

    def ask(number: int) -> tuple[str, str]:
        tenant = ("team-a", "team-b")[number % 2]
        headers = {**keys[tenant], "x-request-id": f"request-{number}"}
        return client.get("/v1/jobs", headers=headers).headers["x-request-id"], tenant

    with ThreadPoolExecutor(8) as pool:
        asked = set(pool.map(ask, range(40)))
    found = {
        (line["request_id"], line["tenant"]) for line in lines(capfd) if line["event"] == "request"
    }
    assert found == asked


@pytest.mark.parametrize("given", ["short", "with a blank", "ä" * 9, "x" * 65, 'a"b\\cdefgh'])
def test_an_id_that_could_disturb_a_log_is_not_taken_over(client: TestClient, given: str) -> None:
    answer = client.get("/healthz", headers={b"x-request-id": given.encode()})
    assert answer.headers["x-request-id"].startswith("req_")


def test_of_an_exception_places_are_written_and_not_its_text(
    database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    marker = token_hex(8)
    try:
        try:
            float(marker)
        except ValueError as error:
            raise KeyError(marker) from error
    except KeyError:
        structlog.get_logger("test").exception("ours")
        logging.getLogger("library").exception("theirs")
    with pytest.raises(OSError, match="No such file") as caught:
        open("/nowhere/at/all")  # noqa: PTH123, SIM115
    structlog.get_logger("test").error("system", exc_info=caught.value)
    said = lines(capfd)
    assert [line["event"] for line in said] == ["ours", "theirs", "system"]
    for line in said[:2]:
        assert marker not in json.dumps(line)
        assert "ValueError" in line["exception"] and "test_logging.py" in line["exception"]
    assert "FileNotFoundError: No such file or directory" in said[2]["exception"]
    assert "/nowhere" not in said[2]["exception"].splitlines()[-1]


def test_a_thread_speaks_for_whom_it_was_started(capfd: pytest.CaptureFixture[str]) -> None:
    import threading

    with structlog.contextvars.bound_contextvars(job_id="job_x"):
        speak = in_context(lambda: structlog.get_logger("test").info("beat"))
    thread = threading.Thread(target=speak)
    thread.start()
    thread.join()
    assert lines(capfd)[0]["job_id"] == "job_x"
