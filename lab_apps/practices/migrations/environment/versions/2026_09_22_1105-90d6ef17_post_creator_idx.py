"""Posts are found by their creator."""

from __future__ import annotations

from alembic import op

revision = "90d6ef17"
down_revision = "b27e04d9"


def upgrade() -> None:
    """An index; on a table in use it would be built concurrently, see trials/concurrent."""
    op.create_index("posts_creator_id_idx", "posts", ["creator_id"])


def downgrade() -> None:
    """Without it."""
    op.drop_index("posts_creator_id_idx", "posts")
