"""An index built concurrently inside Alembic's transaction: an error."""

from __future__ import annotations

from alembic import op

revision = "unwrapped"
down_revision = "90d6ef17"


def upgrade() -> None:
    """Refused by Postgres before anything is done."""
    op.create_index("posts_title_idx", "posts", ["title"], postgresql_concurrently=True)


def downgrade() -> None:
    """Nothing was there."""
    op.drop_index("posts_title_idx", "posts")
