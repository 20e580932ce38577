"""posts.content beside posts.body, and a trigger that keeps both the same."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "expand"
down_revision = "90d6ef17"

FUNCTION = """
CREATE FUNCTION posts_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.content := coalesce(NEW.content, NEW.body);
        NEW.body := NEW.content;
    ELSIF NEW.body IS DISTINCT FROM OLD.body THEN
        NEW.content := NEW.body;
    ELSIF NEW.content IS DISTINCT FROM OLD.content THEN
        NEW.body := NEW.content;
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER posts_text BEFORE INSERT OR UPDATE ON posts
FOR EACH ROW EXECUTE FUNCTION posts_text()
"""


def upgrade() -> None:
    """The trigger before the copy, so that no write falls between the two."""
    op.add_column("posts", sa.Column("content", sa.Text))
    op.execute(FUNCTION)
    op.execute(TRIGGER)
    op.execute("UPDATE posts SET content = body WHERE content IS NULL")


def downgrade() -> None:
    """Nothing is lost: `body` has all of it."""
    op.execute("DROP TRIGGER posts_text ON posts")
    op.execute("DROP FUNCTION posts_text")
    op.drop_column("posts", "content")
