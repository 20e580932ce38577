"""Queries per request: against Postgres's own log, the proxy's count, and many at a time."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apps
import httpx
import psycopg
import pytest
import sqlalchemy
from fastapi import BackgroundTasks, Depends, FastAPI
from helpers import TESTS
from psycopg import _connection_base, sql
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from specimens import LOOPS

from lab_apps.instruments import postgres, queries
from lab_apps.instruments.proxy import delayed
from lab_apps.instruments.queries import (
    Query,
    Recorder,
    RequestLog,
    Statements,
    outside,
    recorded,
    recording,
    taken,
)
from lab_apps.instruments.server import Server, serve

APP = "test_queries:create_app"
VARIABLE = "TEST_QUERIES_URL"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if missing := postgres.why_not():
        pytest.skip(missing)
    yield postgres.database().url
    postgres.stop()


@pytest.fixture(autouse=True)
def _environment(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv(VARIABLE, url)
    before = methods()
    yield
    assert methods() == before, "psycopg is not as it was"


def methods() -> dict[str, object]:
    """All that psycopg's cursors and connections are made of."""
    names = ("Cursor", "ServerCursor", "Connection")
    owners = [getattr(psycopg, kind + name) for kind in ("", "Async") for name in names]
    owners.append(_connection_base.BaseConnection)
    return {f"{one.__name__}.{name}": it for one in owners for name, it in vars(one).items()}


# An app that asks its database wherever a request can.


def create_app() -> FastAPI:
    """Each request tags what it asks with its own number."""
    url = os.environ[VARIABLE]
    pool = ConnectionPool(url, min_size=2, max_size=8, open=False)
    async_pool = AsyncConnectionPool(url, min_size=2, max_size=8, open=False)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with pool:
            async with async_pool:
                ask("lifespan", 0)
                yield

    app = FastAPI(lifespan=lifespan)

    def ask(where: str, number: int) -> None:
        with pool.connection() as connection:
            connection.execute(f"SELECT '{where}', {number}, pg_sleep(%s)", [0.002])

    async def ask_async(where: str, number: int) -> None:
        async with async_pool.connection() as connection:
            await connection.execute(f"SELECT '{where}', {number}, pg_sleep(%s)", [0.002])

    def dependency(number: int) -> None:
        ask("dependency", number)

    def around(number: int) -> Iterator[None]:
        yield
        ask("exit", number)

    async def async_dependency(number: int) -> None:
        await ask_async("dependency", number)

    async def async_around(number: int) -> AsyncIterator[None]:
        yield
        await ask_async("exit", number)

    @app.get("/def/{number}", dependencies=[Depends(dependency), Depends(around)])
    def in_def(number: int, after: BackgroundTasks) -> int:
        ask("route", number)
        after.add_task(ask, "background", number)
        return number

    both = [Depends(async_dependency), Depends(async_around)]

    @app.get("/async/{number}", dependencies=both)
    async def in_async(number: int, after: BackgroundTasks) -> int:
        await ask_async("route", number)
        after.add_task(ask_async, "background", number)
        return number

    @app.get("/mixed/{number}", dependencies=[Depends(dependency), Depends(async_around)])
    async def mixed(number: int, after: BackgroundTasks) -> int:
        await asyncio.create_task(ask_async("route", number))
        after.add_task(ask, "background", number)
        return number

    @app.post("/fails/{number}", dependencies=[Depends(dependency)])
    def fails(number: int) -> None:
        with pool.connection() as connection:
            connection.execute(f"SELECT {number} / 0")

    @app.get("/elsewhere/{number}")
    async def elsewhere(number: int) -> None:
        """In a thread that has not the context."""
        await asyncio.get_running_loop().run_in_executor(None, ask, "elsewhere", number)

    tasks = set()

    @app.get("/later/{number}")
    async def later(number: int) -> None:
        """In a task that outlives the request."""

        async def go_on() -> None:
            await asyncio.sleep(0.05)
            await ask_async("later", number)

        tasks.add(asyncio.create_task(go_on()))

    return app


def get_all(server: Server, paths: list[str]) -> list[int]:
    """Ask for all at once; the statuses."""
    with httpx.Client(base_url=server.url, timeout=30) as client, ThreadPoolExecutor(30) as pool:
        return [answer.status_code for answer in pool.map(client.get, paths)]


def texts(statements: tuple[Query, ...] | list[Query]) -> list[str]:
    return [statement.sql for statement in statements]


def check_kept_apart(logs: list[RequestLog], paths: list[str]) -> None:
    """Each request has its own four queries with BEGIN and COMMIT, and no other's."""
    assert sorted(log.path for log in logs) == sorted(paths)
    for log in logs:
        number = log.path.rpartition("/")[2]
        parts = ["background", "dependency", "exit", "route"]
        assert sorted(texts(log.queries)) == [
            f"SELECT '{part}', {number}, pg_sleep(%s)" for part in parts
        ]
        assert Counter(texts(log.commands)) == {"BEGIN": 4, "COMMIT": 4}
        assert log.transaction_statements == 8
        assert (log.method, log.status) == ("GET", 200)
        for query in (*log.queries, *log.commands):
            assert log.begun_ns <= query.begun_ns < query.ended_ns <= log.ended_ns
            assert query.error == ""


PATHS = [f"/{kind}/{n}" for n in range(20) for kind in ("def", "async", "mixed")]


@pytest.mark.parametrize("loop", LOOPS)
def test_many_requests_at_once(loop: Any) -> None:
    recorder = Recorder(create_app)
    with serve(recorder, loop=loop) as server:
        assert set(get_all(server, PATHS)) == {200}
        check_kept_apart(recorder.take(), PATHS)
        assert recorder.take() == []
    assert texts(recorder.outside.queries) == ["SELECT 'lifespan', 0, pg_sleep(%s)"]


def test_in_a_process() -> None:
    with serve(recorded(APP), where="process") as server:
        assert set(get_all(server, PATHS)) == {200}
        check_kept_apart(server.inside(taken, APP), PATHS)
        assert server.inside(taken, APP) == []
        apart = server.inside(outside, APP)
        assert texts(apart.queries) == ["SELECT 'lifespan', 0, pg_sleep(%s)"]
    assert methods()["Cursor.execute"] is psycopg.Cursor.execute


def test_name_in_this_process() -> None:
    for _ in range(2):  # each server has a log of its own
        with serve(recorded(APP)) as server:
            httpx.get(f"{server.url}/def/1")
            check_kept_apart(server.inside(taken, APP), ["/def/1"])
    with pytest.raises(ValueError, match="no_such"), serve(recorded("no_such:app")):
        pass
    assert not hasattr(queries, "anything_else")


def test_two_recorders_at_once() -> None:
    one, two = Recorder(create_app), Recorder(create_app)
    with serve(one) as first:
        with serve(two) as second:
            get_all(first, ["/def/1", "/async/1"])
            get_all(second, ["/async/2"])
        get_all(first, ["/def/3"])
        check_kept_apart(one.take(), ["/def/1", "/async/1", "/def/3"])
        check_kept_apart(two.take(), ["/async/2"])


def test_failed_query_and_request() -> None:
    recorder = Recorder(create_app)
    with serve(recorder) as server:
        assert httpx.post(f"{server.url}/fails/7").status_code == 500
        (log,) = recorder.take()
    assert (log.method, log.path, log.status) == ("POST", "/fails/7", 500)
    assert [query.error for query in log.queries] == ["", "DivisionByZero"]
    assert texts(log.commands) == ["BEGIN", "COMMIT", "BEGIN", "ROLLBACK"]


def test_what_belongs_to_no_request() -> None:
    """A thread without the context, and a task after the request has ended."""
    recorder = Recorder(create_app)
    with serve(recorder) as server:
        get_all(server, ["/elsewhere/1", "/later/2"])
        logs = recorder.take()
        time.sleep(0.3)
    assert [log.queries for log in logs] == [(), ()]
    begins = [text.partition(",")[0] for text in texts(recorder.outside.queries)]
    assert begins == ["SELECT 'lifespan'", "SELECT 'elsewhere'", "SELECT 'later'"]


def test_log_waits_for_the_end_of_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The response has gone out, a background task has not ended."""
    app = FastAPI()

    @app.get("/")
    def answer(after: BackgroundTasks) -> None:
        after.add_task(time.sleep, 0.5)

    recorder = Recorder(app)
    with serve(recorder) as server:
        httpx.get(server.url)
        assert len(recorder.take()) == 1
        monkeypatch.setattr(queries, "TAKE_TIMEOUT_S", 0.1)
        httpx.get(server.url)
        with pytest.raises(TimeoutError, match="1 requests in flight"):
            recorder.take()


def test_without_lifespan_and_bare() -> None:
    """Recording lasts as long as the request; a websocket passes."""
    recorder = Recorder(apps.bare)

    async def ask() -> int:
        transport = httpx.ASGITransport(recorder)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return (await client.get("/x?y=1")).status_code

    assert asyncio.run(ask()) == 200
    (log,) = recorder.take()
    assert (log.method, log.path, log.status, log.queries) == ("GET", "/x", 200, ())

    async def raises(scope: Any, *_: Any) -> None:
        raise OSError(scope["type"])

    broken = Recorder(raises)
    for kind in ("http", "websocket", "lifespan"):
        with pytest.raises(OSError, match=kind):
            asyncio.run(broken({"type": kind, "method": "GET", "path": "/"}, None, None))
    assert [log.status for log in broken.take()] == [0]


# Every way to ask, beside Postgres's own log: each statement is sent back as a notice.


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


# The wrapping itself.


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
