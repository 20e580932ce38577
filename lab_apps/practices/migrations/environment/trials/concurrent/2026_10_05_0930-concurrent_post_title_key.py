"""Titles are unique, by an index that is built while others write."""

from __future__ import annotations

from alembic import op

revision = "concurrent"
down_revision = "90d6ef17"


def upgrade() -> None:
    """Outside a transaction; `if_not_exists` also passes over an index that is INVALID."""
    with op.get_context().autocommit_block():
        op.create_index(
            "posts_title_key",
            "posts",
            ["title"],
            unique=True,
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    """Also of an index that is INVALID."""
    with op.get_context().autocommit_block():
        op.drop_index("posts_title_key", "posts", postgresql_concurrently=True, if_exists=True)
