"""The same with an index in between that can't be built in a transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "block"
down_revision = "90d6ef17"


def upgrade() -> None:
    """The block commits what came before it, and is not undone by what fails after it."""
    op.add_column("posts", sa.Column("summary", sa.Text))
    op.execute("UPDATE posts SET summary = substr(body, 1, 10)")
    with op.get_context().autocommit_block():
        op.create_index("posts_summary_idx", "posts", ["summary"], postgresql_concurrently=True)
    op.execute("UPDATE users SET email = lower(email)")


def downgrade() -> None:
    """Without the column and its index."""
    op.drop_column("posts", "summary")
