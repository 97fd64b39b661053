"""The options of data sets in one record; it takes the place of the map of columns.

Revision: 0008
After: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
DATASETS = sa.table(
    "datasets",
    *(sa.column(name) for name in ("id", "state", "split")),
    sa.column("columns", JSON),
    sa.column("options", JSON),
)


def upgrade() -> None:
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("options", JSON, nullable=False, server_default="{}"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(DATASETS)).all():
        # The split of a data set that is ready is the one that was used, whoever chose it.
        given = {"columns": row.columns, "split": row.split}
        options = {name: value for name, value in given.items() if value is not None}
        same = DATASETS.c.id == row.id
        connection.execute(sa.update(DATASETS).where(same).values(options=options))
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.alter_column("options", server_default=None)
        batch_op.drop_column("columns")


def downgrade() -> None:
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("columns", JSON, nullable=True))
    connection = op.get_bind()
    for row in connection.execute(sa.select(DATASETS)).all():
        columns = row.options.get("columns")
        connection.execute(
            sa.update(DATASETS).where(DATASETS.c.id == row.id).values(columns=columns)
        )
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.drop_column("options")
