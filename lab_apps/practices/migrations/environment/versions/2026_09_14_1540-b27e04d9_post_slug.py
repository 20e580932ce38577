"""A slug for every post, made from its number; editors change it later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b27e04d9"
down_revision = "3f1c8a52"


def upgrade() -> None:
    """The data depends on what is in the table, the structure does not."""
    with op.batch_alter_table("posts") as posts:
        posts.add_column(sa.Column("slug", sa.Text))
    op.execute("UPDATE posts SET slug = 'post-' || id")
    with op.batch_alter_table("posts") as posts:
        posts.create_unique_constraint("posts_slug_key", ["slug"])


def downgrade() -> None:
    """The structure as before; what editors had written is gone."""
    with op.batch_alter_table("posts") as posts:
        posts.drop_constraint("posts_slug_key", type_="unique")
        posts.drop_column("slug")
