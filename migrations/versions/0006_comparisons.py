"""The evaluation of adapters, and the seconds that each result took.

Revision: 0006
After: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("evaluation", JSON, nullable=True))
    with op.batch_alter_table("artifacts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("seconds", sa.Float(), nullable=True))
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("spent_seconds", sa.Float(), nullable=False, server_default="0")
        )
    _fill_seconds(op.get_bind())


def _fill_seconds(connection: sa.Connection) -> None:
    """Fill in the seconds of existing artifacts from their stages; a merge stands for all its parts."""
    time = sa.DateTime(timezone=True)
    stages = sa.table(
        "stages",
        *(sa.column(name) for name in ("job_id", "name", "part", "artifact_id", "reused")),
        sa.column("started_at", time),
        sa.column("finished_at", time),
    )
    artifacts = sa.table("artifacts", sa.column("id"), sa.column("seconds"))
    made = sa.select(stages).where(
        stages.c.artifact_id.is_not(None),
        stages.c.reused.is_(sa.false()),
        stages.c.started_at.is_not(None),
        stages.c.finished_at.is_not(None),
    )
    of_stage: dict[tuple[str, str], float] = {}
    own: list[tuple[str, tuple[str, str], bool, float]] = []
    for row in connection.execute(made):
        stage = (row.job_id, row.name)
        seconds = max(0.0, (row.finished_at - row.started_at).total_seconds())
        of_stage[stage] = of_stage.get(stage, 0.0) + seconds
        own.append((row.artifact_id, stage, row.part is None, seconds))
    for artifact, stage, whole, seconds in own:
        values = {"seconds": of_stage[stage] if whole else seconds}
        connection.execute(sa.update(artifacts).where(artifacts.c.id == artifact).values(**values))


def downgrade() -> None:
    for table, column in (
        ("stages", "spent_seconds"),
        ("artifacts", "seconds"),
        ("jobs", "evaluation"),
    ):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column(column)
