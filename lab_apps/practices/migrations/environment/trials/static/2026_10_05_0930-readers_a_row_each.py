"""A row for each user there is: the data comes from the data, the structure is written here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "static"
down_revision = "90d6ef17"


def upgrade() -> None:
    """The same table everywhere, with other rows in it."""
    op.create_table(
        "readers",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="readers_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="readers_user_id_fkey", ondelete="CASCADE"
        ),
    )
    op.execute("INSERT INTO readers SELECT id FROM users")


def downgrade() -> None:
    """Without it, whoever the users are."""
    op.drop_table("readers")
