"""Texts without ids have no influence.

Going back removes the rows of their scores, whose files stay.

Revision: 0017
After: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("scores", schema=None) as batch_op:
        batch_op.alter_column("influence", existing_type=sa.Float(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM scores WHERE influence IS NULL")
    with op.batch_alter_table("scores", schema=None) as batch_op:
        batch_op.alter_column("influence", existing_type=sa.Float(), nullable=False)
