"""Ends of jobs while the receiver of a webhook is away half of the time and workers are killed.

``python -m tests.chaos.webhooks`` tells 200 ends on each database.
"""

import argparse
import json
import multiprocessing
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Network

from sqlalchemy import func, select
from standardwebhooks import Webhook as Verifier

from dealrec.app.keys.repository import ensure_tenant
from dealrec.app.kit.database import Database, database_now
from dealrec.app.settings import Settings
from dealrec.app.tables.jobs import JobState
from dealrec.app.tables.webhooks import DeliveryRow, DeliveryState
from dealrec.worker.deliverer import keep_delivering
from tests.app.webhooks.ends import Ends
from tests.app.webhooks.receiver import HANG, Receiver, receiving
from tests.chaos.machines import migrated_databases

_FORK = multiprocessing.get_context("fork")
_ENDS = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
_EVENTS = frozenset({"job.running", *(f"job.{state.value}" for state in _ENDS)})
_AWAY = (500, 302, HANG)
_WORKERS = 2
_END_SECONDS = 300.0
"""The seconds without a message that arrives, after which a run is given up. On a busy machine a
message may fail ten times, and the next pause is 100 s then."""


@dataclass
class Told:
    """What became of the messages."""

    ends: int
    messages: int = 0
    requests: int = 0
    kills: int = 0
    lost: list[str] = field(default_factory=list)
    """Messages that the receiver never accepted."""
    twice: int = 0
    """Messages that it accepted more than once, which at least once allows."""
    unsigned: int = 0
    out_of_order: list[str] = field(default_factory=list)
    """Jobs of which a later message was accepted before an earlier one."""
    seconds: float = 0.0


def disturbed(settings: Settings, ends: int, seed: int) -> Told:
    """End ``ends`` jobs on a migrated database, and follow their messages until all have arrived."""
    settings = settings.model_copy(
        update={
            "webhook_networks": (IPv4Network("127.0.0.0/8"),),
            "webhook_seconds": 0.5,
            "webhook_retry_seconds": 0.1,
            "poll_seconds": 0.02,
        }
    )
    draw, told, begun = random.Random(seed), Told(ends), time.monotonic()
    database = Database(settings)
    with database.session() as session:
        ensure_tenant(session, "default", database_now(session))
    maker = Ends(database)
    with receiving() as receiver:
        _, secret = maker.webhook(receiver.url, _EVENTS)
        dataset = maker.dataset()
        with (
            _killed_workers(settings, random.Random(seed + 1), told, receiver),
            _often_away(receiver, draw),
        ):
            for _ in range(ends):
                maker.move(maker.job(dataset), JobState.RUNNING, draw.choice(_ENDS))
                time.sleep(draw.uniform(0, 0.04))
            _wait_until_told(database)
        _judge(told, database, receiver, Verifier(secret))
    database.dispose()
    told.seconds = time.monotonic() - begun
    return told


@contextmanager
def _often_away(receiver: Receiver, draw: random.Random) -> Iterator[None]:
    """The receiver is up and away by turns of the same length."""
    begun, turn, choice = time.monotonic(), 0.25, random.Random(draw.random())

    def answer() -> int:
        away = int((time.monotonic() - begun) / turn) % 2 == 0
        return choice.choice(_AWAY) if away else 204

    receiver.otherwise = answer
    yield


@contextmanager
def _killed_workers(
    settings: Settings, draw: random.Random, told: Told, receiver: Receiver
) -> Iterator[None]:
    """Processes that deliver; every now and then one is killed, and another begins.

    Between two kills something is sent, so that a slow machine comes to an end as well.
    """
    stopped = threading.Event()

    def work(name: str) -> None:
        keep_delivering(settings, Database(settings), name, threading.Event())

    def begin(number: int) -> multiprocessing.process.BaseProcess:
        process = _FORK.Process(target=work, args=(f"worker-{number}",), daemon=True)
        process.start()
        return process

    def kill() -> None:
        number, sent = _WORKERS, 0
        while not stopped.wait(draw.uniform(0.2, 0.6)):
            if len(receiver.taken) == sent:
                continue
            sent = len(receiver.taken)
            place = draw.randrange(_WORKERS)
            workers[place].kill()
            workers[place].join()
            told.kills += 1
            number += 1
            workers[place] = begin(number)

    workers = [begin(number) for number in range(_WORKERS)]
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        stopped.set()
        killer.join()
        for worker in workers:
            worker.kill()
            worker.join()


def _wait_until_told(database: Database) -> None:
    pending = select(func.count()).select_from(DeliveryRow)
    pending = pending.where(DeliveryRow.state == DeliveryState.PENDING)
    left, since = 0, time.monotonic()
    while time.monotonic() - since < _END_SECONDS:
        with database.session(write=False) as session:
            found = session.scalar(pending) or 0
        if not found:
            return
        if found != left:
            left, since = found, time.monotonic()
        time.sleep(0.05)


def signed(verifier: Verifier, headers: dict[str, str], body: bytes) -> bool:
    """Whether the signature is right, whenever the message came; a run takes longer than one stays valid."""
    made = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    right = verifier.sign(headers["webhook-id"], made, body.decode())
    return right in headers["webhook-signature"].split(" ")


def _judge(told: Told, database: Database, receiver: Receiver, verifier: Verifier) -> None:
    with database.session(write=False) as session:
        written = set(session.scalars(select(DeliveryRow.id)))
    accepted = [(headers["webhook-id"], headers, body) for headers, body in list(receiver.accepted)]
    seen: set[str] = set()
    order: dict[str, list[int]] = defaultdict(list)
    for identifier, headers, body in accepted:
        told.unsigned += not signed(verifier, headers, body)
        if identifier not in seen:
            data = json.loads(body)["data"]
            order[data["job_id"]].append(data["sequence"])
        seen.add(identifier)
    told.messages, told.requests = len(written), len(receiver.taken)
    told.lost = sorted(written - seen)
    told.twice = len(accepted) - len(seen)
    told.out_of_order = [job for job, numbers in order.items() if numbers != sorted(numbers)]


def main() -> int:
    """Exit status 0 where every message arrived, signed and in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ends", type=int, default=200, help="of jobs, on each database")
    parser.add_argument("--seed", type=int, default=20240628)
    options = parser.parse_args()
    clean = True
    for shape, settings in migrated_databases("dealrec-hooks-"):
        told = disturbed(settings, options.ends, options.seed)
        line = {
            "name": "webhooks",
            "shape": shape,
            **{name: value for name, value in vars(told).items() if name != "lost"},
            "lost": len(told.lost),
            "seconds": round(told.seconds, 1),
        }
        print(json.dumps(line), flush=True)
        clean = clean and not (told.lost or told.unsigned or told.out_of_order)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
