"""Writes a job's scores into the database, in bulk."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from sqlalchemy import insert
from sqlalchemy.orm import Session

from dealrec.app.tables.jobs import ScoreRow

_COLUMNS = ("sample_key", "influence", "effort", "overall", "stratum", "selected")
_ROWS = 50_000


def write_scores(session: Session, job_id: str, tenant_id: str, path: Path) -> None:
    """Add the rows of ``scores.parquet`` in the caller's transaction: COPY on PostgreSQL.

    Arrow writes what COPY reads: Python never sees a row, so a million take seconds.
    """
    first = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS, columns=list(_COLUMNS)):
            rows = _rows(batch, job_id, tenant_id, first)
            if session.get_bind().dialect.name == "postgresql":
                _copy(session, rows)
            else:
                session.execute(insert(ScoreRow), rows.to_pylist())
            first += len(rows)


def _rows(batch: pa.RecordBatch, job_id: str, tenant_id: str, first: int) -> pa.Table:
    """The batch as rows of the table ``scores``, ``first`` being its first sample's index."""
    count = batch.num_rows
    belongs = {
        "job_id": pa.repeat(job_id, count),
        "tenant_id": pa.repeat(tenant_id, count),
        "sample_index": pa.array(range(first, first + count), pa.int64()),
    }
    return pa.table({**belongs, **{name: batch.column(name) for name in _COLUMNS}})


def _copy(session: Session, rows: pa.Table) -> None:
    text = io.BytesIO()
    # Arrow writes null as nothing and an empty string in quotes, and COPY tells them apart.
    pa_csv.write_csv(rows, text, pa_csv.WriteOptions(include_header=False))
    connection = session.connection().connection.driver_connection
    assert connection is not None
    statement = f"COPY scores ({', '.join(rows.column_names)}) FROM STDIN (FORMAT csv)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(text.getvalue())
