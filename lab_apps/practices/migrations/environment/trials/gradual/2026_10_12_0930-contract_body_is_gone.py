"""No app asks for posts.body any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "contract"
down_revision = "expand"


def upgrade() -> None:
    """The function stays, for the way back."""
    op.execute("DROP TRIGGER posts_text ON posts")
    op.drop_column("posts", "body")


def downgrade() -> None:
    """Nothing is lost: `content` has all of it."""
    op.add_column("posts", sa.Column("body", sa.Text))
    op.execute("UPDATE posts SET body = content")
    op.alter_column("posts", "body", nullable=False)
    op.execute(
        "CREATE TRIGGER posts_text BEFORE INSERT OR UPDATE ON posts"
        " FOR EACH ROW EXECUTE FUNCTION posts_text()"
    )
