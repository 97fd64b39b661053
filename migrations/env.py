"""Runs migrations on the connection that ``Database.migrate`` hands over."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import JSON, BigInteger

from dealrec.app.tables.base import Base, UtcDateTime


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Name the column types that both databases share, as ``script.py.mako`` defines them."""
    if kind == "type":
        if isinstance(item, UtcDateTime):
            return "TIME"
        if isinstance(item, JSON):
            return "JSON"
        if isinstance(item, BigInteger):
            return "BIG"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=render_item,
    compare_type=True,
)
with context.begin_transaction():
    if connection.dialect.name == "postgresql":
        # Two processes that migrate at once do it one after the other.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(724411)")
    context.run_migrations()
