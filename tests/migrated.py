"""What the tests of practice 6 share: databases of both kinds, and a few rows in them."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from alembic import command
from sqlalchemy import Engine, text

from lab_apps.instruments import postgres
from lab_apps.practices.migrations import commands

HEAD = "90d6ef17"
KINDS = ["Postgres", "SQLite"]
ON_BOTH = ["", "subtitle", "direct", "static", "backfill_only"]  # trials, "" the app's own
ON_POSTGRES = ["gradual", "concurrent", "unwrapped", "halfway", "halfway_block", "by_data"]


@contextlib.contextmanager
def empty(kind: str) -> Iterator[str]:
    """The url of an empty database that goes again."""
    if kind == "SQLite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/lab.db"
    else:
        with postgres.database().schema() as own:
            yield own.url


def began(url: str, revision: str = HEAD) -> Engine:
    """An engine for a database at that revision with two users and three posts."""
    command.upgrade(commands.config(url), revision)
    engine = commands.engine(url)
    execute(
        engine,
        "INSERT INTO users (id, email) VALUES (1, 'Ada@example.org'), (2, 'ada@example.org')",
        "INSERT INTO posts (id, creator_id, title, body)"
        " VALUES (1, 1, 'One', 'a'), (2, 1, 'Two', 'b'), (3, 1, 'Three', 'c')",
    )
    return engine


def execute(engine: Engine, *statements: str) -> None:
    """Each in turn, in one transaction."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def outcome(run: Callable[..., Any], *args: Any, **how: Any) -> str:
    """The name of the error that a command ends with, or "done"."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run(*args, **how)
        except Exception as error:
            return type(getattr(error, "orig", error)).__name__
    return "done"
