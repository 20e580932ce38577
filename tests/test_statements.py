"""Every way to ask, beside Postgres's own log: each statement is sent back as a notice."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from postgres_targets import own_database
from psycopg import _connection_base, sql
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from queries_app import environment, texts

from lab_apps.instruments import queries
from lab_apps.instruments.queries import Statements, recording


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with own_database() as url:
        yield url


@pytest.fixture(autouse=True)
def _environment(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with environment(url, monkeypatch):
        yield


def heard_by(connection: psycopg.Connection | psycopg.AsyncConnection, heard: list[str]) -> None:
    """Append each statement that Postgres says it was given."""

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        kind, _, text = (notice.message_primary or "").partition(": ")
        if kind == "statement" or kind.startswith("execute"):
            declared = re.fullmatch(r'DECLARE "\w+" CURSOR FOR (.*)', text)
            heard.append((declared[1] if declared else text).replace("$1", "%s"))

    connection.add_notice_handler(hear)


def logging(url: str) -> str:
    return f"{url}&options=-clog_statement%3Dall%20-cclient_min_messages%3Dlog"


def work(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TEMPORARY TABLE work (number int)")
    connection.execute("SELECT %s::int", [1])
    connection.commit()
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO work VALUES (%s)", [[1], [2], [3]])
    assert list(cursor.stream("SELECT number FROM work")) == [(1,), (2,), (3,)]
    for _ in cursor.stream("SELECT generate_series(1, 100000)"):
        break
    connection.rollback()
    with cursor.copy("COPY work FROM STDIN") as copy:
        copy.write_row([4])
    with cursor.copy("COPY work TO STDOUT") as copy:
        assert list(copy.rows()) == [("4",)]
    with connection.transaction(), psycopg.RawCursor(connection) as raw:
        raw.execute("SELECT number FROM work WHERE number = %s".replace("%s", "$1"), [4])
    with psycopg.ClientCursor(connection) as client:
        client.execute(query="SELECT 5")
    with connection.cursor("named") as server_side:
        server_side.execute("SELECT number FROM work")
        assert server_side.fetchone() == (4,)
        assert server_side.fetchall() == []
    connection.commit()
    with connection.pipeline():
        for _ in range(3):
            connection.execute(b"SELECT 6")
    with contextlib.suppress(psycopg.Error):
        connection.execute(sql.SQL("SELECT {} FROM nothing").format(sql.Identifier("x")))
    connection.rollback()
    ConnectionPool.check_connection(connection)


async def work_async(connection: psycopg.AsyncConnection) -> None:
    await connection.execute("CREATE TEMPORARY TABLE work (number int)")
    await connection.execute("SELECT %s::int", [1])
    await connection.commit()
    cursor = connection.cursor()
    await cursor.executemany("INSERT INTO work VALUES (%s)", [[1], [2], [3]])
    found = [row async for row in cursor.stream("SELECT number FROM work")]
    assert found == [(1,), (2,), (3,)]
    stream: Any = cursor.stream("SELECT generate_series(1, 100000)")
    async with contextlib.aclosing(stream) as rows:
        async for _ in rows:
            break
    await connection.rollback()
    async with cursor.copy("COPY work FROM STDIN") as copy:
        await copy.write_row([4])
    async with cursor.copy("COPY work TO STDOUT") as copy:
        assert [row async for row in copy.rows()] == [("4",)]
    async with connection.transaction(), psycopg.AsyncRawCursor(connection) as raw:
        await raw.execute("SELECT number FROM work WHERE number = %s".replace("%s", "$1"), [4])
    async with psycopg.AsyncClientCursor(connection) as client:
        await client.execute(query="SELECT 5")
    async with connection.cursor("named") as server_side:
        await server_side.execute("SELECT number FROM work")
        assert await server_side.fetchone() == (4,)
        assert await server_side.fetchall() == []
    await connection.commit()
    async with connection.pipeline():
        for _ in range(3):
            await connection.execute(b"SELECT 6")
    with contextlib.suppress(psycopg.Error):
        await connection.execute(sql.SQL("SELECT {} FROM nothing").format(sql.Identifier("x")))
    await connection.rollback()
    await AsyncConnectionPool.check_connection(connection)


def run_sync(url: str, heard: list[str]) -> None:
    with psycopg.connect(url) as connection:
        heard_by(connection, heard)
        work(connection)


def run_async(url: str, heard: list[str]) -> None:
    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            heard_by(connection, heard)
            await work_async(connection)

    asyncio.run(run())


def check_beside_postgres(run: Callable[[str, list[str]], None], url: str) -> Statements:
    """The same statements as often, but that three executions of `executemany` are one call."""
    heard: list[str] = []
    with recording() as log:
        run(logging(url), heard)
    ours = [text.replace("$1", "%s") for text in texts(log.queries) + texts(log.commands)]
    more = {"INSERT INTO work VALUES (%s)": 2}
    assert Counter(heard) == Counter(ours) + Counter(more)
    return log


@pytest.mark.parametrize("run", [run_sync, run_async])
def test_beside_the_log_of_postgres(run: Callable[[str, list[str]], None], url: str) -> None:
    log = check_beside_postgres(run, url)
    assert texts(log.queries) == [
        "CREATE TEMPORARY TABLE work (number int)",
        "SELECT %s::int",
        "INSERT INTO work VALUES (%s)",
        "SELECT number FROM work",
        "SELECT generate_series(1, 100000)",
        "COPY work FROM STDIN",
        "COPY work TO STDOUT",
        "SELECT number FROM work WHERE number = $1",
        "SELECT 5",
        "SELECT number FROM work",
        *["SELECT 6"] * 3,
        'SELECT "x" FROM nothing',
    ]
    assert [query.error for query in log.queries] == [""] * 13 + ["UndefinedTable"]
    assert {command.sql.split(" ")[0] for command in log.commands} == {
        *("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"),
        *("FETCH", "CLOSE", "DEALLOCATE", ""),
    }
    for query in log.queries + log.commands:
        assert query.begun_ns < query.ended_ns


@pytest.mark.parametrize("run", [run_sync, run_async])
@pytest.mark.parametrize("kind", ["Cursor", "AsyncCursor", "BaseConnection"])
def test_check_sees_what_is_not_counted(
    run: Callable[[str, list[str]], None], kind: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap = queries._wrap

    def wrap_less() -> None:
        """One method stays as it was."""
        owner = _connection_base.BaseConnection if "Base" in kind else getattr(psycopg, kind)
        name = "_exec_command" if "Base" in kind else "execute"
        original = vars(owner)[name]
        wrap()
        setattr(owner, name, original)

    monkeypatch.setattr(queries, "_wrap", wrap_less)
    concerned = kind == "BaseConnection" or ("Async" in kind) == (run is run_async)
    with pytest.raises(AssertionError) if concerned else contextlib.nullcontext():
        check_beside_postgres(run, url)
