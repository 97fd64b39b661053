"""Jobs that end without having been run, and their webhooks."""

from dataclasses import dataclass

from sqlalchemy import update

from dealrec.app.kit.database import Database, DatabaseClock, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.stages.events import record
from dealrec.app.stages.transitions import move_job
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import JobKind, JobRow, JobState
from dealrec.app.tables.webhooks import DeliveryRow
from dealrec.app.webhooks.outbox import ENDS
from dealrec.app.webhooks.schemas import WebhookCreate
from dealrec.app.webhooks.service import create


@dataclass
class Ends:
    """Makes jobs end, and messages due."""

    database: Database

    def dataset(self) -> str:
        with self.database.session() as session:
            row = DatasetRow(
                id=new_id("ds"),
                tenant_id="default",
                name="x",
                state=DatasetState.READY.value,
                uploads={},
                created_at=database_now(session),
            )
            session.add(row)
        return row.id

    def job(self, dataset: str) -> str:
        """A queued job."""
        with self.database.session() as session:
            row = JobRow(
                id=new_id("job"),
                tenant_id="default",
                dataset_id=dataset,
                kind=JobKind.PRUNE.value,
                state=JobState.QUEUED.value,
                config={},
                job_metadata={"run": "nightly"},
                created_at=database_now(session),
            )
            session.add(row)
            session.flush()
            record(session, row, "job.queued")
        return row.id

    def move(self, job: str, *states: JobState) -> None:
        for state in states:
            with self.database.session() as session:
                move_job(session, session.get_one(JobRow, job), state)

    def ended(self, state: JobState = JobState.SUCCEEDED) -> str:
        """A job that has ended."""
        job = self.job(self.dataset())
        self.move(job, JobState.RUNNING, state)
        return job

    def webhook(self, url: str, events: frozenset[str] = frozenset(ENDS)) -> tuple[str, str]:
        """The id and the secret of a new webhook."""
        with self.database.session() as session:
            body = WebhookCreate.model_validate({"url": url, "events": events})
            row = create(session, "default", body)
        return row.id, row.secret

    def make_due(self) -> None:
        """End the pauses after failures."""
        with self.database.session() as session:
            session.execute(update(DeliveryRow).values(next_at=DatabaseClock()))
