"""A job's events as a stream of server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool

from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import Event
from dealrec.app.kit.context import Context
from dealrec.app.kit.errors import NotFound
from dealrec.app.kit.pagination import PageRequest
from dealrec.app.tables.jobs import ENDED_JOBS

_POLL_SECONDS = 0.5
_KEEPALIVE_SECONDS = 15.0
_BATCH = 200
_RETRY_MILLISECONDS = 2000


def news(context: Context, job_id: str, after: int) -> tuple[Sequence[Event], bool]:
    """Return a batch of events after ``after``, and whether the job has no later ones.

    It takes one short session, and raises :class:`NotFound`.
    """
    with context.read() as session:
        repository = JobRepository(session, context.tenant_id)
        job = repository.get(job_id)  # read first, so that its last event is among those read next
        rows = repository.events(job, PageRequest(_BATCH, str(after))).rows
        events = [Event.of(row) for row in rows]
    last = events[-1].sequence if events else after
    return events, job.state in ENDED_JOBS and last >= job.event_count


async def follow(context: Context, job_id: str, after: int) -> AsyncIterator[bytes]:
    """Yield events after ``after`` until the job has ended or is deleted, without holding a session."""
    yield format_sse_event(retry=_RETRY_MILLISECONDS)
    quiet_since = time.monotonic()
    while True:
        try:
            events, ended = await run_in_threadpool(news, context, job_id, after)
        except NotFound:
            return
        for event in events:
            after = event.sequence
            yield format_sse_event(id=str(after), data_str=event.model_dump_json())
        if ended:
            return
        now = time.monotonic()
        if events:
            quiet_since = now
        elif now - quiet_since >= _KEEPALIVE_SECONDS:
            quiet_since = now
            yield KEEPALIVE_COMMENT
        if len(events) < _BATCH:
            await asyncio.sleep(_POLL_SECONDS)
