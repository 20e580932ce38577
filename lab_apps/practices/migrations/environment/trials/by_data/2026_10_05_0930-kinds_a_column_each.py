"""A column for each user there is: the structure comes from the data."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "by_data"
down_revision = "90d6ef17"


def upgrade() -> None:
    """As many columns as rows, so two databases get two schemas."""
    for (number,) in op.get_bind().execute(sa.text("SELECT id FROM users ORDER BY id")).all():
        op.add_column("posts", sa.Column(f"read_by_{number}", sa.Boolean))


def downgrade() -> None:
    """The rows that are there now, not those of then."""
    for (number,) in op.get_bind().execute(sa.text("SELECT id FROM users ORDER BY id")).all():
        op.drop_column("posts", f"read_by_{number}")
