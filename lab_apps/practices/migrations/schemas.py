"""What is in a database, as data that can be compared: its structure, its rows, its revision."""

from __future__ import annotations

from typing import Any, TypeAlias

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, Inspector, MetaData, inspect, select

Structure: TypeAlias = dict[str, dict[str, Any]]

VERSION_TABLE = "alembic_version"


def structure(engine: Engine) -> Structure:
    """Return each table with its columns, keys, constraints and indexes, names included.

    Of those that the search path shows, as SQLAlchemy reflects them; columns in their order, all
    else sorted. Alembic's own table is left out. Triggers, functions and rights are not
    reflected.
    """
    with engine.connect() as connection:
        found = inspect(connection)
        tables = sorted(set(found.get_table_names()) - {VERSION_TABLE})
        return {table: _table(found, table) for table in tables}


def contents(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of each table, sorted."""
    metadata = MetaData()
    with engine.connect() as connection:
        metadata.reflect(connection)
        return {
            name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for name, table in metadata.tables.items()
            if name != VERSION_TABLE
        }


def revision(engine: Engine) -> str | None:
    """Return the revision the database says it is at; None before the first."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _table(found: Inspector, table: str) -> dict[str, Any]:
    return {
        "columns": [
            (column["name"], repr(column["type"]), column["nullable"], column["default"])
            for column in found.get_columns(table)
        ],
        "primary key": found.get_pk_constraint(table),
        "foreign keys": _sorted(found.get_foreign_keys(table)),
        "unique": _sorted(found.get_unique_constraints(table)),
        "checks": _sorted(found.get_check_constraints(table)),
        "indexes": _sorted(found.get_indexes(table)),
    }


def _sorted(things: list[Any]) -> list[Any]:
    return sorted(things, key=repr)
