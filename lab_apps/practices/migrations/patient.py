"""A migration that gives up the queue for a lock, and tries again."""

from __future__ import annotations

import time

from alembic import command
from alembic.config import Config
from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from lab_apps.practices.migrations import commands


def upgrade(
    config: Config,
    revision: str = "head",
    *,
    lock_timeout_ms: int,
    pause_ms: int = 200,
    attempts: int = 100,
) -> tuple[int, ...]:
    """Upgrade as Alembic does, waiting for no lock longer than that; try until it is done.

    Whoever wants a table that a migration waits for waits behind it, readers too. After
    `lock_timeout_ms` Postgres cancels the statement, the transaction is rolled back and the queue
    moves; after a pause the migration tries again. 0 waits without a limit. The setting goes with
    the connection. Returns when each attempt ended, on the clock of `time.perf_counter_ns()`; the
    last one succeeded. Raises sqlalchemy's OperationalError when all have timed out.
    """
    ended_ns: list[int] = []
    while True:
        with commands.engine(config.attributes["url"]).connect() as connection:
            connection.execute(text(f"SET lock_timeout = {lock_timeout_ms:d}"))
            connection.commit()
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, revision)
            except OperationalError as error:
                ended_ns.append(time.perf_counter_ns())
                if not isinstance(error.orig, LockNotAvailable) or len(ended_ns) >= attempts:
                    raise
            else:
                return (*ended_ns, time.perf_counter_ns())
            finally:
                del config.attributes["connection"]
        time.sleep(pause_ms / 1e3)
