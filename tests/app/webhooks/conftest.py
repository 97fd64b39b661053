"""A receiver on this machine, and rounds of a worker."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network

import pytest

from dealrec.app.keys.repository import ensure_tenant
from dealrec.app.kit.database import Database, database_now
from dealrec.app.settings import Settings
from dealrec.app.webhooks.delivery import Deliverer
from tests.app.webhooks.ends import Ends
from tests.app.webhooks.receiver import Receiver, receiving


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Messages may go to this machine, and a busy one may take its time."""
    return settings.model_copy(
        update={
            "webhook_networks": (IPv4Network("127.0.0.0/8"),),
            "webhook_seconds": 20.0,
            "webhook_retry_seconds": 60.0,
        }
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def ends(database: Database) -> Ends:
    with database.session() as session:
        ensure_tenant(session, "default", database_now(session))
    return Ends(database)


@pytest.fixture
def deliver(settings: Settings, database: Database) -> Iterator[Callable[[], int]]:
    """A round of one worker."""
    deliverer = Deliverer(settings, database, "worker")
    yield deliverer.round
    deliverer.close()
