"""Addresses in lower case: fails where two users differ in nothing else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "halfway"
down_revision = "90d6ef17"


def upgrade() -> None:
    """A column, its data, and then the step that fails."""
    op.add_column("posts", sa.Column("summary", sa.Text))
    op.execute("UPDATE posts SET summary = substr(body, 1, 10)")
    op.execute("UPDATE users SET email = lower(email)")


def downgrade() -> None:
    """Without the column."""
    op.drop_column("posts", "summary")
