"""Run migrations on the connection or the URL that the config has, else on LAB_DATABASE_URL."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from lab_apps.practices.migrations import commands, models

given = context.config.attributes


def run(connection: Connection) -> None:
    """Each migration in a transaction of its own, as one with an autocommit block needs it."""
    context.configure(
        connection=connection,
        target_metadata=given.get("metadata", models.metadata),
        render_as_batch=connection.dialect.name == "sqlite",  # which alters a table by copying it
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if "connection" in given:
    run(given["connection"])
else:
    with commands.engine(given.get("url") or os.environ["LAB_DATABASE_URL"]).connect() as opened:
        run(opened)
