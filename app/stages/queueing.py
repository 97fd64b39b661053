"""New stage rows, and their way into a queue."""

from sqlalchemy.orm import Session

from dealrec.app.kit.ids import new_id
from dealrec.app.kit.traces import trace_parent
from dealrec.app.stages.transitions import move_stage
from dealrec.app.stages.wakeups import wake
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow, StageRow, StageState
from dealrec.config.stages import STAGES, StageName, StageSpec


def plan_ingest(session: Session, dataset: DatasetRow) -> None:
    """Add the data set, and queue the stage that validates it."""
    session.add(dataset)
    session.flush()
    queue_stage(session, add_stage(session, dataset, None, STAGES[StageName.INGEST]))


def add_stage(
    session: Session,
    dataset: DatasetRow,
    job: JobRow | None,
    spec: StageSpec,
    needs: list[str] | None = None,
    position: int = 0,
    run: int = 0,
) -> StageRow:
    """A new ``waiting`` stage of the job, or of the data set itself if ``job`` is ``None``."""
    stage = StageRow(
        id=new_id("st"),
        tenant_id=dataset.tenant_id,
        dataset_id=dataset.id,
        job_id=job.id if job else None,
        name=spec.name.value,
        run=run,
        position=position,
        needs=needs or [],
        queue=spec.queue.value,
        state=StageState.WAITING.value,
        fence=0,
        trace=trace_parent(),
    )
    session.add(stage)
    session.flush()
    return stage


def queue_stage(session: Session, stage: StageRow) -> None:
    """Let the stage be claimed, and tell a worker."""
    move_stage(session, stage, StageState.QUEUED)
    wake(session, stage)
