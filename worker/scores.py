"""Writes a job's scores into the database, in bulk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.jobs.models import ScoreRow

_COLUMNS = ("sample_key", "influence", "effort", "overall", "stratum", "selected")
_ROWS = 20_000
_Row = tuple[Any, ...]


def write_scores(session: Session, job_id: str, tenant_id: str, path: Path) -> None:
    """Add the rows of ``scores.parquet`` in the caller's transaction: COPY on PostgreSQL."""
    names = ("job_id", "tenant_id", "sample_index", *_COLUMNS)
    batches = _batches(job_id, tenant_id, path)
    if session.get_bind().dialect.name != "postgresql":
        for rows in batches:
            mappings = [dict(zip(names, row, strict=True)) for row in rows]
            session.execute(insert(ScoreRow.__table__), mappings)  # type: ignore[arg-type]
        return
    connection = session.connection().connection.driver_connection
    assert connection is not None
    statement = f"COPY scores ({', '.join(names)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for rows in batches:
            for row in rows:
                copy.write_row(row)


def _batches(job_id: str, tenant_id: str, path: Path) -> Iterator[list[_Row]]:
    first = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS, columns=list(_COLUMNS)):
            columns = [batch.column(name).to_pylist() for name in _COLUMNS]
            yield [
                (job_id, tenant_id, first + index, *values)
                for index, values in enumerate(zip(*columns, strict=True))
            ]
            first += batch.num_rows
