"""Versions of data sets: the one that files were appended to, and the first one.

What is there already is a first version.

Revision: 0015
After: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_LINKS = ("root_id", "parent_id")


def upgrade() -> None:
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("parent_sha256", sa.String(64), nullable=True))
        for name in _LINKS:
            batch_op.add_column(sa.Column(name, sa.String(40), nullable=True))
            batch_op.create_index(batch_op.f(f"ix_datasets_{name}"), [name])


def downgrade() -> None:
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        for name in _LINKS:
            batch_op.drop_index(batch_op.f(f"ix_datasets_{name}"))
            batch_op.drop_column(name)
        batch_op.drop_column("parent_sha256")
        batch_op.drop_column("version")
