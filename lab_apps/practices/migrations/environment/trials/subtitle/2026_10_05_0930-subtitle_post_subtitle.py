"""A column that is NULL everywhere: nothing is rewritten, the lock is held for a moment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "subtitle"
down_revision = "90d6ef17"


def upgrade() -> None:
    """ACCESS EXCLUSIVE: it waits for every transaction that has read the table."""
    op.add_column("posts", sa.Column("subtitle", sa.Text))


def downgrade() -> None:
    """The same lock."""
    op.drop_column("posts", "subtitle")
