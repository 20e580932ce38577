"""Alembic from Python: the same environment as on the command line, without its output."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import psycopg
from alembic.config import Config
from sqlalchemy import Engine, NullPool, create_engine, event

ENVIRONMENT = Path(__file__).parent / "environment"


def config(url: str, trial: str = "", *, folder: Path = ENVIRONMENT) -> Config:
    """Return what Alembic's commands take: `command.upgrade(config(url), "head")`.

    With a `trial` its revisions follow those of the app. Commands print nothing.
    """
    made = Config(folder / "alembic.ini", cmd_opts=Namespace(quiet=True))
    made.attributes["url"] = url
    if trial:
        places = folder / "versions", folder / "trials" / trial
        made.set_main_option("version_locations", os.pathsep.join(map(str, places)))
    return made


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    """Yield a copy of the environment in a temporary folder, for commands that write files."""
    with tempfile.TemporaryDirectory() as root:
        yield Path(shutil.copytree(ENVIRONMENT, Path(root, "environment")))


def engine(url: str) -> Engine:
    """Return an engine for a libpq URI, or for SQLAlchemy's `sqlite:///file`.

    psycopg reads the URI itself, so that all of libpq's options count, `search_path` too.
    """
    if url.startswith("sqlite"):
        return create_engine(url, poolclass=NullPool)
    return create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool
    )


def transactional(engine: Engine) -> Engine:
    """Return SQLite's engine with DDL inside its transactions.

    Python's sqlite3 begins a transaction before a write, and none before DDL. The recipe of
    docs.sqlalchemy.org/en/20/dialects/sqlite.html: the driver begins nothing, SQLAlchemy does.
    """
    event.listen(engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine
