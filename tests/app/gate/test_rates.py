"""How often a caller is answered."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from dealrec.app.kit.database import Database
from dealrec.app.main import create_app
from dealrec.app.settings import Settings

LOCAL: dict[str, Any] = {"base_url": "http://127.0.0.1:8000", "client": ("127.0.0.1", 50000)}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Rates are no matter of the database."""
    return sqlite_url


def statuses(client: TestClient, headers: dict[str, str], count: int) -> list[int]:
    return [client.get("/v1/jobs", headers=headers).status_code for _ in range(count)]


def test_each_key_has_a_rate_of_its_own(settings: Settings, database: Database, make_key) -> None:
    settings.rate_limit = "3/hour"
    one, two = make_key(), make_key()
    with TestClient(create_app(settings), **LOCAL) as client:
        assert statuses(client, one, 4) == [200, 200, 200, 429]
        assert statuses(client, two, 1) == [200]
        refused = client.get("/v1/jobs", headers=one)
        assert refused.json()["code"] == "rate_limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 3600
        assert client.get("/healthz").status_code == 200


def test_guessing_keys_is_limited_by_address(
    settings: Settings, database: Database, make_key
) -> None:
    settings.rate_limit = "3/hour"
    valid = make_key()
    guessed = {"authorization": "Bearer dr_" + "x" * 43}
    with TestClient(create_app(settings), **LOCAL) as client:
        assert statuses(client, guessed, 4) == [401, 401, 401, 429]
        assert statuses(client, valid, 1) == [200]


def test_without_keys_there_is_a_limit_only_where_one_is_set(
    settings: Settings, database: Database
) -> None:
    with TestClient(create_app(settings), **LOCAL) as client:
        assert set(statuses(client, {}, 30)) == {200}
    settings.rate_limit = "2/hour"
    with TestClient(create_app(settings), **LOCAL) as client:
        assert statuses(client, {}, 3) == [200, 200, 429]


def test_api_processes_share_the_rate_through_the_broker(
    settings: Settings, database: Database, make_key, broker_url: str
) -> None:
    settings.rate_limit, settings.broker_url = "3/hour", broker_url
    key = make_key()
    with (
        TestClient(create_app(settings), **LOCAL) as one,
        TestClient(create_app(settings), **LOCAL) as two,
    ):
        assert statuses(one, key, 2) + statuses(two, key, 2) == [200, 200, 200, 429]


def test_a_broker_that_is_down_lets_everybody_in_and_is_said_once(
    settings: Settings, database: Database, make_key, capfd: pytest.CaptureFixture[str]
) -> None:
    settings.rate_limit, settings.broker_url = "1/hour", "redis://127.0.0.1:1/0"
    key = make_key()
    with TestClient(create_app(settings), **LOCAL) as client:
        assert set(statuses(client, key, 5)) == {200}
    assert capfd.readouterr().err.count("rates not counted") == 1


def test_a_rate_that_cannot_be_read_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError):
        Settings(rate_limit="often")
    assert Settings(rate_limit="none").rate_limit == "none"
