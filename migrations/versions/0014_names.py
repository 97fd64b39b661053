"""Names of jobs, coresets and adapters, and how long a stage is expected to take.

What is there already gets the name of its data set.

Revision: 0014
After: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_NAMED = ("jobs", "coresets", "adapters")


def upgrade() -> None:
    for table in _NAMED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(
                sa.Column("name", sa.String(200), nullable=False, server_default="")
            )
        named, datasets = (
            sa.table(table, sa.column("name"), sa.column("dataset_id")),
            sa.table("datasets", sa.column("id"), sa.column("name")),
        )
        found = sa.select(datasets.c.name).where(datasets.c.id == named.c.dataset_id)
        op.execute(named.update().values(name=found.scalar_subquery()))
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("expected_seconds", sa.Float(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.drop_column("expected_seconds")
    for table in _NAMED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("name")
