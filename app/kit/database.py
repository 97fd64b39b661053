"""The database engine and its sessions: SQLite for one machine, PostgreSQL for many."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Float, create_engine, event, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from dealrec.app.kit.dispatch import Dispatcher
from dealrec.app.settings import Settings
from dealrec.app.tables.base import UtcDateTime

_SETTINGS = "settings"
MIGRATIONS = Path(__file__).parents[2] / "migrations"
_POSTGRES_NOW = select(func.clock_timestamp())
_SQLITE_NOW = text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")


class Database:
    """The database of one process. Sessions are short, and the code that opens one commits it."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.resolved_database_url
        self.engine = _create_engine(self.url)
        self._sessions = sessionmaker(
            self.engine, expire_on_commit=False, info={_SETTINGS: settings}
        )
        self.dispatcher = Dispatcher(settings.broker_url) if settings.broker_url else None
        if self.dispatcher:
            self.dispatcher.attach(self._sessions)

    @property
    def is_postgres(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def session(self, *, write: bool = True) -> Iterator[Session]:
        """Open a session that commits at the end, or rolls back if an exception leaves the block.

        With ``write``, the transaction takes SQLite's write lock at once, so that reading and then
        writing cannot deadlock. Without it, PostgreSQL runs each query outside a transaction; a
        query sees everything that was committed before it in either case.
        """
        with self._sessions() as session, session.begin():
            if write and not self.is_postgres:
                session.connection(execution_options={"sqlite_begin": "IMMEDIATE"})
            if self.is_postgres and not write:
                session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            yield session

    def migrate(self) -> None:
        """Bring the schema to the newest revision."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def dispose(self) -> None:
        if self.dispatcher:
            self.dispatcher.close()
        self.engine.dispose()


def settings_of(session: Session) -> Settings:
    """Return the settings of the process that opened the session."""
    settings: Settings = session.info[_SETTINGS]
    return settings


class DatabaseClock(FunctionElement[datetime]):
    """The database's current time as a part of a statement, without a query of its own.

    ``DatabaseClock(seconds)`` is that many seconds later.
    """

    type = UtcDateTime()
    inherit_cache = True


@compiles(DatabaseClock, "postgresql")
def _postgres_clock(element: DatabaseClock, compiler: SQLCompiler, **options: Any) -> str:
    later = compiler.process(element.clauses, **options)
    return f"clock_timestamp() + make_interval(secs => {later})" if later else "clock_timestamp()"


@compiles(DatabaseClock, "sqlite")
def _sqlite_clock(element: DatabaseClock, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite compares times as text, so they need the six digits that SQLAlchemy writes.
    later = compiler.process(element.clauses, **options)
    offset = f", printf('%.3f seconds', {later})" if later else ""
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now'{offset})"


class SecondsSince(FunctionElement[float]):
    """``SecondsSince(column)`` is the time from a row's timestamp until now by the database's clock."""

    type = Float()
    inherit_cache = True


@compiles(SecondsSince, "postgresql")
def _postgres_seconds(element: SecondsSince, compiler: SQLCompiler, **options: Any) -> str:
    since = compiler.process(element.clauses, **options)
    return f"extract(epoch FROM clock_timestamp() - {since})"


@compiles(SecondsSince, "sqlite")
def _sqlite_seconds(element: SecondsSince, compiler: SQLCompiler, **options: Any) -> str:
    since = compiler.process(element.clauses, **options)
    return f"86400 * (julianday('now') - julianday({since}))"


def database_now(session: Session) -> datetime:
    """Read the database's clock, the only one that leases and timestamps are measured by."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(_POSTGRES_NOW).scalar_one()
        return now.astimezone(UTC)
    value = connection.execute(_SQLITE_NOW).scalar_one()
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def _create_engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(
            url, pool_pre_ping=True, pool_size=10, max_overflow=20, hide_parameters=True
        )
    file = make_url(url).database
    if file and file != ":memory:":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": 30}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # _begin starts transactions, not the driver
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA busy_timeout=30000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
