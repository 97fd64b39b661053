"""Connections that break and a service that is busy: everything is done, and nothing twice."""

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dealrec.app.tables.jobs import EventRow
from dealrec.client import ApiError, AsyncClient, Client
from tests.app.conftest import Finished
from tests.dealrec.client.conftest import CONFIG, ENDLESS, Service
from tests.dealrec.client.proxy import BUSY, CUT, FAULTS, LIMITED, LOST, REFUSED, Proxy


def _flow(client: Client, data: Path) -> str:
    """Everything that has an effect; gives the id of a job that was paused, resumed and cancelled."""
    dataset = client.datasets.create(data).wait()
    endless = client.jobs.create(dataset.id, budget=12, config=ENDLESS)
    endless.pause()
    assert endless.wait().state == "paused"
    endless.resume()
    endless.cancel()
    with pytest.raises(ApiError, match="was cancelled"):
        endless.wait()
    job = client.jobs.create(dataset.id, budget=12, config=CONFIG)
    other = job.wait().reselect(6)
    assert other.to_arrow().num_rows == 6
    return endless.id


async def _concurrent_flow(client: AsyncClient, data: Path) -> str:
    dataset = await (await client.datasets.create(data)).wait()
    endless = await client.jobs.create(dataset.id, budget=12, config=ENDLESS)
    await endless.pause()
    assert (await endless.wait()).state == "paused"
    await endless.resume()
    await endless.cancel()
    with pytest.raises(ApiError, match="was cancelled"):
        await endless.wait()
    job = await client.jobs.create(dataset.id, budget=12, config=CONFIG)
    other = await (await job.wait()).reselect(6)
    assert (await other.to_arrow()).num_rows == 6
    return endless.id


@pytest.fixture(params=["blocking", "asyncio"])
def flow(request: pytest.FixtureRequest) -> Callable[[str, Path], str]:
    def run(url: str, data: Path) -> str:
        if request.param == "blocking":
            with Client(url, retries=30) as client:
                return _flow(client, data)

        async def ran() -> str:
            async with AsyncClient(url, retries=30) as client:
                return await _concurrent_flow(client, data)

        return asyncio.run(ran())

    return run


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dealrec.client.exchange._FIRST_SECONDS", 0.01)
    monkeypatch.setattr("dealrec.client.exchange._LONGEST_SECONDS", 0.1)


def test_over_a_bad_line_everything_is_done_once(
    service: Service,
    proxy: Proxy,
    client: Client,
    data: Path,
    count: Callable[[str], int],
    flow: Callable[[str, Path], str],
    impatient: None,
) -> None:
    proxy.faults = itertools.cycle([LOST, None, CUT, BUSY, None, REFUSED, LIMITED, None, None])
    datasets, jobs, coresets = count("/v1/datasets"), count("/v1/jobs"), count("/v1/coresets")
    job = flow(proxy.url, data)
    assert set(proxy.done) == set(FAULTS)
    assert count("/v1/datasets") == datasets + 1
    assert count("/v1/jobs") == jobs + 2
    assert count("/v1/coresets") == coresets + 2
    kinds = [event.kind for event in client.jobs.get(job).events()]
    for kind in ("job.paused", "job.cancelled"):
        assert kinds.count(kind) == 1


def test_every_post_has_a_key_that_its_repetitions_keep(
    proxy: Proxy, data: Path, impatient: None
) -> None:
    proxy.faults = iter([LOST, LOST, None])
    with Client(proxy.url) as client:
        client.prune(data, budget=12, config=CONFIG).cancel()
    posts = [headers["idempotency-key"] for method, _, headers in proxy.seen if method == "POST"]
    assert len(posts) == 4
    assert len(set(posts[:3])) == 1
    assert posts[3] != posts[0]


@pytest.mark.parametrize("fault", [REFUSED, LOST, CUT, BUSY, LIMITED])
def test_no_fault_is_tried_for_ever(
    service: Service, proxy: Proxy, fault: str, impatient: None
) -> None:
    proxy.faults = itertools.repeat(fault)
    with Client(proxy.url, retries=3) as client, pytest.raises(ApiError) as caught:
        client.selectors()
    assert proxy.done[fault] == 4
    expected = {BUSY: (503, "http_503"), LIMITED: (429, "http_429")}
    assert (caught.value.status, caught.value.code) == expected.get(fault, (None, "no_answer"))
    assert caught.value.exit_status == 1


def test_what_the_service_refuses_is_asked_once(proxy: Proxy, impatient: None) -> None:
    with Client(proxy.url) as client, pytest.raises(ApiError):
        client.jobs.get("job_none")
    assert len(proxy.seen) == 1


def test_retry_after_is_kept_to(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from dealrec.client.exchange import Attempts

    error = ApiError("slowly", status=429)
    error.retry_after = 7.0
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    with Client(service.url) as client:
        monkeypatch.setattr(client.transport, "sleep", sleep)
        with pytest.raises(StopIteration):
            Attempts(client.transport).after(error).send(None)
        error.retry_after = 3600.0
        with pytest.raises(ApiError):
            Attempts(client.transport).after(error).send(None)
    assert waited == [7.0]


def test_nobody_at_the_address_is_said_with_the_address() -> None:
    begun = time.monotonic()
    with Client("http://127.0.0.1:1", retries=1) as client, pytest.raises(ApiError) as caught:
        client.models()
    assert "http://127.0.0.1:1" in caught.value.detail
    assert time.monotonic() - begun < 5


def test_events_are_followed_over_broken_streams(
    proxy: Proxy, client: Client, data: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dealrec.client.stream._AGAIN_SECONDS", 0.05)
    job = client.prune(data, budget=12, config=CONFIG)
    proxy.faults = itertools.cycle([CUT, REFUSED, None, BUSY, CUT])
    with Client(proxy.url, retries=20) as flaky:
        events = list(flaky.jobs.get(job.id).follow())
    assert proxy.done[CUT] >= 2
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events == list(job.events())
    asked = [headers.get("last-event-id") for _, path, headers in proxy.seen if "events" in path]
    assert len(set(asked)) > 1


def test_events_are_followed_on_an_event_loop(service: Service, finished: Finished) -> None:
    async def followed() -> list[Any]:
        async with AsyncClient(service.url) as client:
            job = await client.jobs.create(finished.dataset, budget=5, config=CONFIG)
            await job.cancel()
            return [event.kind async for event in job.follow()]

    assert asyncio.run(followed())[-1] == "job.cancelled"


def test_a_deletion_that_was_done_is_no_error(
    proxy: Proxy, finished: Finished, impatient: None
) -> None:
    proxy.faults = itertools.chain([None, LOST], itertools.repeat(None))
    with Client(proxy.url) as client:
        client.adapters.get(finished.adapter).delete()
        with pytest.raises(ApiError, match="no adapter"):
            client.adapters.get(finished.adapter)
        assert proxy.done[LOST] == 1


def test_the_event_table_has_no_gap(service: Service) -> None:
    """The tests above have left every event of their jobs in the table."""
    from sqlalchemy import func, select

    with service.database.session(write=False) as session:
        counted = select(EventRow.job_id, func.count(), func.max(EventRow.sequence))
        rows = session.execute(counted.group_by(EventRow.job_id)).all()
    assert all(number == last for _, number, last in rows)
