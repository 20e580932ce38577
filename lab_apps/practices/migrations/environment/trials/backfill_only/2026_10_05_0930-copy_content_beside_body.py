"""posts.content beside posts.body, copied once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "copy"
down_revision = "90d6ef17"


def upgrade() -> None:
    """What the old app writes from here on is not in `content`."""
    op.add_column("posts", sa.Column("content", sa.Text))
    op.execute("UPDATE posts SET content = body")


def downgrade() -> None:
    """What the new app has written goes with it."""
    op.drop_column("posts", "content")
