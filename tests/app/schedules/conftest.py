"""A clock that tests set, and rounds of a worker."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.schedules.ticks import Ticker
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow
from tests.app.conftest import Finisher

HOURLY = {"kind": "cron", "cron": "0 * * * *"}


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> Any:
    """SQLite, unless a test names the databases that it is about."""
    return request.getfixturevalue(f"{request.param}_url")


class World:
    """A data set of tenant ``default`` with its schedules, and a clock that stands still."""

    def __init__(
        self, client: TestClient, finisher: Finisher, database: Database, ticker: Ticker
    ) -> None:
        self.client, self.database, self._ticker = client, database, ticker
        self.dataset = finisher.dataset().id
        self.now = datetime.now(UTC)

    def schedule(self, trigger: dict[str, Any] = HOURLY, **job: Any) -> dict[str, Any]:
        body = {
            "name": "nightly",
            "dataset_id": self.dataset,
            "trigger": trigger,
            "job": {"budget": 5, "config": {"effort": None}, **job},
        }
        answer = self.client.post("/v1/schedules", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def at(self, moment: str | datetime, **later: float) -> int:
        """A round at ``moment``, or ``later`` than that."""
        found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        self.now = found + timedelta(**later)
        return self.round()

    def round(self) -> int:
        return self._ticker.round()

    def get(self, schedule: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/v1/schedules/{schedule['id']}").json()
        return found

    def ticks(self, schedule: dict[str, Any]) -> list[dict[str, Any]]:
        """The oldest first."""
        path = f"/v1/schedules/{schedule['id']}/ticks"
        found: list[dict[str, Any]] = self.client.get(path).json()["data"]
        return found[::-1]

    def jobs(self, schedule: dict[str, Any]) -> list[dict[str, Any]]:
        """The oldest first."""
        query = {"schedule_id": schedule["id"]}
        found: list[dict[str, Any]] = self.client.get("/v1/jobs", params=query).json()["data"]
        return found[::-1]

    def end_jobs(self, state: str = "succeeded") -> None:
        with self.database.session() as session:
            session.execute(update(JobRow).values(state=state))

    def version(self, drift: dict[str, float] | None = None) -> str:
        """The next version of the data set, ready, with the drift that it would have been measured."""
        with self.database.session() as session:
            newest = session.get_one(DatasetRow, self.dataset)
            for row in session.query(DatasetRow).order_by(DatasetRow.version):
                newest = row
            names = [column.name for column in DatasetRow.__table__.columns]
            values = {name: getattr(newest, name) for name in names}
            report = {**(newest.report or {}), "drift": drift}
            values |= {"id": new_id("ds"), "version": newest.version + 1, "report": report}
            values |= {"parent_id": newest.id, "root_id": newest.root_id or newest.id}
            values["created_at"] = database_now(session)
            row = DatasetRow(**values)
            session.add(row)
        return row.id


@pytest.fixture
def world(
    client: TestClient,
    finisher: Finisher,
    settings: Settings,
    database: Database,
    storage: Storage,
) -> World:
    ticker = Ticker(settings, database, storage, lambda _: found.now)
    found = World(client, finisher, database, ticker)
    return found
