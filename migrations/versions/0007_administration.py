"""Scopes of keys, quotas of tenants, the audit trail, ended runs of stages.

Revision: 0007
After: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Keys from before scopes may still do everything; later keys name their scopes.
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("scopes", JSON, nullable=False, server_default='["read", "write", "admin"]')
        )
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.alter_column("scopes", server_default=None)
    with op.batch_alter_table("tenants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("quotas", JSON, nullable=False, server_default="{}"))
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("used_gpu", sa.Boolean(), nullable=False, server_default=sa.false())
        )

    op.create_table(
        "audit_events",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("object_id", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=20), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_events_created_at"), ["created_at"])
        batch_op.create_index(batch_op.f("ix_audit_events_tenant_id"), ["tenant_id"])

    op.create_table(
        "stage_runs",
        sa.Column("stage_id", sa.String(length=40), nullable=False),
        sa.Column("fence", BIG, nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("queue", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("used_gpu", sa.Boolean(), nullable=False),
        sa.Column("ended_at", TIME, nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("stage_id", "fence", name=op.f("pk_stage_runs")),
    )
    with op.batch_alter_table("stage_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stage_runs_ended_at"), ["ended_at"])
        batch_op.create_index(batch_op.f("ix_stage_runs_tenant_id"), ["tenant_id"])


def downgrade() -> None:
    op.drop_table("stage_runs")
    op.drop_table("audit_events")
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.drop_column("used_gpu")
    with op.batch_alter_table("tenants", schema=None) as batch_op:
        batch_op.drop_column("quotas")
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_column("scopes")
