"""Schedules, and the jobs that they make.

Revision: 0019
After: 0018
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_ID = sa.String(length=40)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("dataset_id", _ID, nullable=False),
        sa.Column("root_id", _ID, nullable=False),
        sa.Column("trigger", _JSON, nullable=False),
        sa.Column("job", _JSON, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("paused", _JSON, nullable=True),
        sa.Column("next_due", _TIME, nullable=True),
        sa.Column("seen_version", sa.Integer(), nullable=False),
        sa.Column("seen_id", _ID, nullable=False),
        sa.Column("drift", sa.Float(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("error", _JSON, nullable=True),
        sa.Column("last_job_id", _ID, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schedules_next_due"), ["next_due"])
        batch_op.create_index(batch_op.f("ix_schedules_root_id"), ["root_id"])
        batch_op.create_index(batch_op.f("ix_schedules_tenant_id"), ["tenant_id"])
    op.create_table(
        "schedule_ticks",
        sa.Column("id", _ID, nullable=False),
        sa.Column("schedule_id", _ID, nullable=False),
        sa.Column("mark", sa.String(length=60), nullable=False),
        sa.Column("due_at", _TIME, nullable=True),
        sa.Column("dataset_id", _ID, nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("job_id", _ID, nullable=True),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("error", _JSON, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_schedule_ticks_schedule_id_schedules"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_ticks")),
        sa.UniqueConstraint("schedule_id", "mark", name=op.f("uq_schedule_ticks_schedule_id_mark")),
    )
    with op.batch_alter_table("schedule_ticks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schedule_ticks_created_at"), ["created_at"])
        batch_op.create_index(batch_op.f("ix_schedule_ticks_tenant_id"), ["tenant_id"])
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("schedule_id", _ID, nullable=True))
        batch_op.add_column(sa.Column("due_at", _TIME, nullable=True))
        batch_op.create_index(batch_op.f("ix_jobs_schedule_id"), ["schedule_id"])


def downgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_schedule_id"))
        batch_op.drop_column("due_at")
        batch_op.drop_column("schedule_id")
    op.drop_table("schedule_ticks")
    op.drop_table("schedules")
