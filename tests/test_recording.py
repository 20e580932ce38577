"""Recording statements: beside the proxy's count, in SQLAlchemy, and psycopg as it was."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy
from postgres_targets import own_database
from queries_app import environment, texts

from lab_apps.instruments import queries
from lab_apps.instruments.proxy import delayed
from lab_apps.instruments.queries import recording


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with own_database() as url:
        yield url


@pytest.fixture(autouse=True)
def _environment(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with environment(url, monkeypatch):
        yield


def test_beside_the_proxy(url: str) -> None:
    """What waits once each, sync and async: as many statements as round trips."""

    async def ask(through: str) -> None:
        connecting = psycopg.AsyncConnection.connect(through, prepare_threshold=None)
        async with await connecting as connection:
            for _ in range(7):
                await connection.execute("SELECT %s", ["x"])
            async with connection.transaction():
                await connection.execute("SELECT 1")

    with delayed(url) as proxy, recording() as log:
        with psycopg.connect(proxy.url, prepare_threshold=None) as connection:
            for _ in range(7):
                connection.execute("SELECT %s", ["x"])
            with contextlib.suppress(psycopg.Error):
                connection.execute("SELECT 1/0")
        asyncio.run(ask(proxy.url))
        assert proxy.round_trips == len(log.queries) + len(log.commands)
    assert len(log.queries) == 16
    assert texts(log.commands) == [
        "BEGIN",
        "COMMIT",
        "BEGIN",
        'SAVEPOINT "_pg3_1"',
        'RELEASE "_pg3_1"',
        "COMMIT",
    ]


def test_sqlalchemy(url: str) -> None:
    """Its cursors are psycopg's."""
    with recording() as log:
        engine = sqlalchemy.create_engine(url.replace("://", "+psycopg://"))
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("SELECT :number"), {"number": 1})
        engine.dispose()
    assert texts(log.queries)[-1] == "SELECT %(number)s"
    assert texts(log.commands)[-2:] == ["BEGIN", "COMMIT"]


def test_blocks_within_each_other(url: str) -> None:
    """Each has what was asked in it; psycopg is wrapped until the last has ended."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT 0")
        with recording() as outer:
            connection.execute("SELECT 1")
            with recording() as inner:
                connection.execute("SELECT 2")
            connection.execute("SELECT 3")
        connection.execute("SELECT 4")
    assert texts(outer.queries) == ["SELECT 1", "SELECT 2", "SELECT 3"]
    assert texts(inner.queries) == ["SELECT 2"]


def test_wrapped_methods_are_as_they_were(url: str) -> None:
    """Of the same kind, with the same exceptions, also for what is no statement."""
    with recording() as log, psycopg.connect(url) as connection:
        assert inspect.iscoroutinefunction(psycopg.AsyncCursor(connection).execute)  # type: ignore[call-overload]
        assert not inspect.iscoroutinefunction(connection.cursor().execute)
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nothing")
        connection.rollback()
        with pytest.raises(TypeError, match="NoneType"):
            connection.execute(None)  # type: ignore[call-overload]
    assert [query.error for query in log.queries] == ["UndefinedTable", "TypeError"]


def test_template_string() -> None:
    """From Python 3.14: the expressions stand in for their values."""
    interpolation = type("Interpolation", (), {"expression": "user_id"})()

    class Template(list[Any]):
        interpolations = (interpolation,)

    template = Template(["SELECT ", interpolation, "::int"])
    assert queries._text(template, None) == "SELECT {user_id}::int"
