"""Every POST that creates something, sent twice with one key: one effect, the first answer again."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from dealrec.app.kit.database import Database
from dealrec.app.main import create_app
from dealrec.app.settings import Settings
from dealrec.app.tables.base import Base
from tests.app.conftest import Finished, Finisher

CSV = b"user_id,item_id,timestamp\n" + b"".join(b"u%d,i%d,%d\n" % (n % 4, n, n) for n in range(24))
FILES = {"interactions": ("interactions.csv", CSV, "text/csv")}

SCHEDULE = {"name": "x", "trigger": {"kind": "on_version"}}
REQUESTS: dict[str, list[Callable[[Finished], tuple[str, dict[str, Any]]]]] = {
    "create_upload": [lambda _: ("/v1/uploads", {"json": {"filename": "a.csv", "bytes": 5}})],
    "create_dataset": [lambda _: ("/v1/datasets", {"files": FILES})],
    "append_to_dataset": [lambda at: (f"/v1/datasets/{at.dataset}/append", {"files": FILES})],
    "prune": [lambda _: ("/v1/prune", {"files": FILES, "data": {"budget": "5"}})],
    "create_job": [lambda at: ("/v1/jobs", {"json": {"dataset_id": at.dataset, "budget": 5}})],
    "create_comparison": [
        lambda at: (
            "/v1/comparisons",
            {"json": {"dataset_id": at.dataset, "budgets": [5], "selectors": ["ccs"]}},
        )
    ],
    "create_coreset": [
        lambda at: (f"/v1/jobs/{at.job}/coresets", {"json": {"budget": 5}}),
        lambda at: (f"/v1/jobs/{at.job}/coresets", {"json": {"selection": {"method": "grand"}}}),
    ],
    "create_finetune": [lambda at: (f"/v1/coresets/{at.coreset}/finetunes", {"json": {}})],
    "ping_webhook": [lambda at: (f"/v1/webhooks/{at.webhook}/ping", {})],
    "create_schedule": [
        lambda at: (
            "/v1/schedules",
            {"json": {**SCHEDULE, "dataset_id": at.dataset, "job": {"budget": 5}}},
        )
    ],
    "create_model": [
        lambda at: (
            "/v1/models",
            {"json": {"name": at.job[-12:], "repository": "org/one", "revision": "a" * 40}},
        )
    ],
}
"""Requests by operation; an operation with two ways to create has both."""

STEERS = {"cancel_job", "pause_job", "resume_job", "retry_job", "redeliver", "run_schedule"}
"""POSTs without a body. Tests of their own show that such a one does nothing more when it is repeated."""
MAKES_NOTHING = {
    "complete_upload",
    "create_estimate",
    "create_comparison_estimate",
    "create_prompt_preview",
}
"""A POST that finds its work done when it is repeated, and those that only ask."""
SECRET = {"create_key", "create_webhook", "rotate_webhook"}
"""Operations whose answer must not be kept."""


@cache
def operations() -> dict[str, dict[str, Any]]:
    document = create_app(Settings()).openapi()
    posts = [item["post"] for item in document["paths"].values() if "post" in item]
    return {operation["operationId"]: operation for operation in posts}


def test_every_post_of_the_document_is_looked_at_here() -> None:
    assert operations().keys() == REQUESTS.keys() | STEERS | MAKES_NOTHING | SECRET


@pytest.mark.parametrize("name", [*REQUESTS, *sorted(STEERS)])
def test_the_document_says_that_the_operation_takes_a_key(name: str) -> None:
    parameters = operations()[name].get("parameters", [])
    assert {"$ref": "#/components/parameters/IdempotencyKey"} in parameters


@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name, ways in REQUESTS.items() for way in range(len(ways))]
)
def test_a_repeated_request_creates_nothing_more_and_gets_the_first_answer(
    name: str, way: int, client: TestClient, finisher: Finisher, database: Database
) -> None:
    path, request = REQUESTS[name][way](finisher.all())
    headers = {"Idempotency-Key": f"once-{name}"}
    before = rows(database)
    first = client.post(path, headers=headers, **request)
    assert first.status_code in (201, 202), first.text
    after = rows(database)
    assert after != before
    second = client.post(path, headers=headers, **request)
    assert rows(database) == after
    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]


def rows(database: Database) -> dict[str, int]:
    """Rows of each table but the one of the keys themselves."""
    with database.session(write=False) as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
            if table.name != "idempotency_keys"
        }
