"""posts.body is posts.content from now on, for everybody at once."""

from __future__ import annotations

from alembic import op

revision = "rename"
down_revision = "90d6ef17"


def upgrade() -> None:
    """Who still asks for `body` gets an error from here on."""
    with op.batch_alter_table("posts") as posts:
        posts.alter_column("body", new_column_name="content")


def downgrade() -> None:
    """Who already asks for `content` gets one."""
    with op.batch_alter_table("posts") as posts:
        posts.alter_column("content", new_column_name="body")
