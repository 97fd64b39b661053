"""Splits the effort of many samples into rows that any workers take, and that one row merges."""

import hashlib
import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.jobs.composition import Measured
from dealrec.app.kit.ids import new_id
from dealrec.app.tables.jobs import ArtifactRow, StageRow, StageState
from dealrec.config.effort import measured_samples, shard_count
from dealrec.config.stages import StagePart


def shard_effort(session: Session, stage: StageRow, measured: Measured) -> None:
    """Put a plan and shards before ``stage``, which merges them; nothing where one shard is enough.

    The plan waits for what the stage waited for, the shards for the plan, the stage for all shards.
    Each of them has a key of its own: a shard that was measured once is measured no more. Where the
    tenant already has the merged result there is nothing to split.
    """
    effort = measured.config.effort
    assert effort is not None and stage.key is not None
    asked = measured_samples(measured.samples, measured.budget, effort.candidates)
    count = shard_count(asked, effort)
    made = select(ArtifactRow.id).where(
        ArtifactRow.tenant_id == stage.tenant_id, ArtifactRow.key == stage.key
    )
    if count == 1 or session.scalar(made) is not None:
        return
    plan = _add_part(session, stage, StagePart.PLAN, stage.needs, queue="cpu")
    stage.needs = [
        _add_part(
            session, stage, StagePart.SHARD, [plan.id], queue=stage.queue, shard=number, of=count
        ).id
        for number in range(count)
    ]
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
        part=part.value,
        shard=shard,
        shards=of,
        position=stage.position,
        needs=list(needs),
        queue=queue,
        state=StageState.WAITING.value,
        key=_part_key([stage.key, part.value, shard, of]),
        fence=0,
    )
    session.add(row)
    session.flush()
    return row


def _part_key(facts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
