from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select

from dealrec.app.kit.database import Database
from dealrec.app.tables.jobs import ScoreRow
from dealrec.worker.scores import write_scores
from tests.worker.makers import TENANT, new_job, ready_dataset

TABLE = pa.table(
    {
        "sample_key": ["u1:3", 'quote " and, comma', "two\nlines", "", "\\N", "ünïcode", "NULL"],
        "influence": [0.1, -1e-300, 1.7976931348623157e308, None, 1 / 3, -2.5, 5e-324],
        "effort": pa.array([None, 0.5, None, 1.0, 2.0, None, 3.0], pa.float64()),
        "overall": [0.1, 0.2, 0.30000000000000004, 0.4, 0.5, 0.6, 0.7],
        "stratum": pa.array([0, None, 2, 3, None, 49, 1], pa.int64()),
        "selected": [True, False, True, False, False, True, False],
    }
)


def test_every_score_arrives_as_it_stands_in_the_file(database: Database, tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "scores.parquet")
    with database.session() as session:
        job = new_job(session, ready_dataset(session))
    with database.session() as session:
        write_scores(session, job.id, TENANT, tmp_path / "scores.parquet")
    with database.session(write=False) as session:
        rows = session.scalars(
            select(ScoreRow).where(ScoreRow.job_id == job.id).order_by(ScoreRow.sample_index)
        ).all()
    assert [row.sample_index for row in rows] == list(range(len(TABLE)))
    assert {row.tenant_id for row in rows} == {TENANT}
    stored = [{name: getattr(row, name) for name in TABLE.column_names} for row in rows]
    assert stored == TABLE.to_pylist()
