"""Users and posts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3f1c8a52"
down_revision = None


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.UniqueConstraint("email", name="users_email_key"),
    )
    op.create_table(
        "posts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("creator_id", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="posts_pkey"),
        sa.ForeignKeyConstraint(["creator_id"], ["users.id"], name="posts_creator_id_fkey"),
    )


def downgrade() -> None:
    """And none."""
    op.drop_table("posts")
    op.drop_table("users")
