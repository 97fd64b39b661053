"""Messages to Celery, sent by task name after a commit.

A broker that is down does not slow requests: a separate thread sends the messages with short
timeouts, and the sweeper sends a lost message again, because the row is the truth.
"""

import threading
from queue import Empty, Full, Queue
from typing import Any, NamedTuple

import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

log = structlog.get_logger(__name__)

QUEUES = ("cpu", "gpu")
"""The queues that stages are put into."""

BROKER_OPTIONS: dict[str, float | bool] = {
    "socket_connect_timeout": 2.0,
    "socket_timeout": 5.0,
    "retry_on_timeout": False,
}
_PENDING = "pending_messages"
_BACKLOG = 10_000


class Message(NamedTuple):
    """A task by name, with the id that is its one argument."""

    task: str
    argument: str
    queue: str


def send_after_commit(session: Session, task: str, argument: str, *, queue: str) -> None:
    """Send the message after the session's transaction commits; a rollback discards it."""
    session.info.setdefault(_PENDING, []).append(Message(task, argument, queue))


class Dispatcher:
    """The sending side of one process; :meth:`attach` it to the sessions it serves."""

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url
        self._messages: Queue[Message | None] = Queue(_BACKLOG)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def attach(self, sessions: sessionmaker[Session]) -> None:
        """Send the messages that sessions of ``sessions`` commit."""
        event.listen(sessions, "after_commit", self._on_commit)
        event.listen(sessions, "after_rollback", _on_rollback)

    def close(self, timeout: float = 5.0) -> None:
        """Send the remaining messages for at most ``timeout`` seconds."""
        if self._thread is not None:
            self._put(None)
            self._thread.join(timeout)

    def depth(self, queue: str) -> int:
        """Count the messages that wait in ``queue``; raises :class:`OSError` if the broker is down."""
        with self._celery().connection_for_write() as connection:
            connection.ensure_connection(max_retries=0, timeout=2)
            channel = connection.default_channel
            return int(channel._size(queue))

    def _on_commit(self, session: Session) -> None:
        for message in session.info.pop(_PENDING, ()):
            self._put(message)

    def _put(self, message: Message | None) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="dispatch", daemon=True)
                self._thread.start()
        try:
            self._messages.put_nowait(message)
        except Full:
            log.warning("wake-up dropped, the broker is behind")

    def _send_all(self) -> None:
        celery = self._celery()
        while (message := self._messages.get()) is not None:
            try:
                celery.send_task(
                    message.task,
                    args=[message.argument],
                    queue=message.queue,
                    ignore_result=True,
                    retry=False,
                )
            except Exception as error:
                # The broker's library raises many kinds of errors; the sweeper sends the message again.
                log.warning("wake-up not sent", queue=message.queue, error=type(error).__name__)
                self._drop_backlog()

    def _drop_backlog(self) -> None:
        """Drop the messages behind one that failed, because each of them would time out as well."""
        while True:
            try:
                message = self._messages.get_nowait()
            except Empty:
                return
            if message is None:
                self._messages.put_nowait(None)
                return

    def _celery(self) -> Any:
        from celery import Celery

        celery = Celery("dealrec", broker=self._broker_url, set_as_current=False)
        celery.conf.update(
            broker_transport_options=BROKER_OPTIONS,
            broker_connection_timeout=2,
            task_ignore_result=True,
        )
        return celery


def _on_rollback(session: Session) -> None:
    session.info.pop(_PENDING, None)
