"""Parts of sharded stages, deaths for lack of memory, and the tenant that was served last.

Revision: 0004
After: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("part", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("shard", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("shards", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("kills", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_index("ix_stages_served", ["tenant_id", "started_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.drop_index("ix_stages_served")
        for name in ("kills", "shards", "shard", "part"):
            batch_op.drop_column(name)
