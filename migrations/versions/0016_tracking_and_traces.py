"""The records that trackers get of ended jobs, and the trace that a stage belongs to.

Revision: 0016
After: 0015
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tracking", JSON, nullable=True))
        batch_op.add_column(sa.Column("track_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_jobs_track_at"), ["track_at"])
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("trace", sa.String(length=60), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.drop_column("trace")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_track_at"))
        batch_op.drop_column("track_at")
        batch_op.drop_column("tracking")
