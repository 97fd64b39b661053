"""Splits a stage into rows that any workers take, and that one row merges."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.kit.ids import new_id
from dealrec.app.tables.jobs import ArtifactRow, StageRow, StageState
from dealrec.config.stages import Queue, StagePart, hashed


def add_shards(session: Session, stage: StageRow, count: int) -> None:
    """Put a plan and ``count`` shards before ``stage``, which merges them.

    The plan waits for what the stage waited for, the shards for the plan, the stage for all shards.
    Each of them has a key of its own, so a shard that was made once is not made again. Nothing is
    split where the tenant already has the merged result.
    """
    assert stage.key is not None
    made = select(ArtifactRow.id).where(
        ArtifactRow.tenant_id == stage.tenant_id, ArtifactRow.key == stage.key
    )
    if session.scalar(made) is not None:
        return
    seconds, stage.expected_seconds = stage.expected_seconds, 0.0  # the shards do the work
    plan = _add_part(session, stage, StagePart.PLAN, stage.needs, queue=Queue.CPU.value)
    plan.expected_seconds = 0.0
    shards = [
        _add_part(
            session, stage, StagePart.SHARD, [plan.id], queue=stage.queue, shard=number, of=count
        )
        for number in range(count)
    ]
    for shard in shards:
        shard.expected_seconds = None if seconds is None else seconds / count
    stage.needs = [shard.id for shard in shards]
    session.flush()


def _add_part(
    session: Session,
    stage: StageRow,
    part: StagePart,
    needs: list[str],
    *,
    queue: str,
    shard: int | None = None,
    of: int | None = None,
) -> StageRow:
    row = StageRow(
        id=new_id("st"),
        tenant_id=stage.tenant_id,
        dataset_id=stage.dataset_id,
        job_id=stage.job_id,
        name=stage.name,
        run=stage.run,
        part=part.value,
        shard=shard,
        shards=of,
        position=stage.position,
        needs=list(needs),
        queue=queue,
        state=StageState.WAITING.value,
        key=hashed([stage.key, part.value, shard, of]),
        loads=stage.loads,
        fence=0,
        trace=stage.trace,
    )
    session.add(row)
    session.flush()
    return row
