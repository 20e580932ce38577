"""What each request asks of the database: every statement psycopg 3 is given, noted with its times.

The app knows nothing of it. A statement belongs to the request in whose context it is run
(`contextvars`), which reaches `async` code, AnyIO's pool threads (`def` routes and dependencies),
tasks, and what runs after the response: the exit code of dependencies and background tasks. It does
not reach threads that were started without the context, `loop.run_in_executor` among them, nor
the tasks and threads of a connection pool. What a websocket asks belongs to no request. A statement
costs some 15 µs of CPU time more while it is noted.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from lab_apps.instruments.app import App, load

now_ns = time.perf_counter_ns
TAKE_TIMEOUT_S = 10.0
TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


@dataclass(frozen=True)
class Query:
    """A statement as the app gave it: its text with placeholders, without the parameters.

    It lasts from when psycopg was given it until it had the result (of `stream` and `copy`: until
    the last row), in ns of `perf_counter_ns`; the first of a transaction includes the BEGIN. What
    `psycopg.sql` composes into the text is in it. `error` is "" or the name of the exception.
    """

    sql: str
    begun_ns: int
    ended_ns: int
    error: str = ""


@dataclass
class Statements:
    """What was asked for, in the order in which it ended.

    `queries` are the app's, SQLAlchemy's included: one for each call of a cursor's `execute`,
    `executemany`, `stream` or `copy`. `commands` are psycopg's own: BEGIN, COMMIT, ROLLBACK,
    savepoints, DEALLOCATE ALL, the FETCH of a server-side cursor, and the empty statement by which
    psycopg_pool checks a connection. Both end when they are queued where that is in a pipeline.
    That a statement is prepared, which is one more round trip, is neither.
    """

    queries: list[Query] = field(default_factory=list)
    commands: list[Query] = field(default_factory=list)


@dataclass(frozen=True)
class RequestLog:
    """One request and its statements until the app had done with it, after the response too.

    `status` is 0 where the app sent none. `Statements` says what `queries` and `commands` are.
    """

    method: str
    path: str
    begun_ns: int
    ended_ns: int
    status: int
    queries: tuple[Query, ...]
    commands: tuple[Query, ...]

    @property
    def transaction_statements(self) -> int:
        """How many of the commands begin, end or divide a transaction."""
        return sum(command.sql.startswith(TRANSACTION) for command in self.commands)


@dataclass
class _Request(Statements):
    over: bool = False


_request: ContextVar[_Request | None] = ContextVar("request", default=None)
_outside: list[Statements] = []
_wrapped = contextlib.ExitStack()
_lock = threading.Lock()


@contextlib.contextmanager
def recording() -> Iterator[Statements]:
    """Note what psycopg is asked in this process; yield what belongs to no request of a `Recorder`.

    Nor to one that has ended: what a task goes on to do afterwards is there. The methods of
    psycopg's cursors are wrapped while at least one such block runs, and put back exactly.
    """
    mine = Statements()
    with _lock:
        if not _outside:
            _wrap()
        _outside.append(mine)
    try:
        yield mine
    finally:
        with _lock:
            _outside[:] = [one for one in _outside if one is not mine]
            if not _outside:
                _wrapped.close()


class Recorder:
    """An ASGI app around another that keeps a `RequestLog` of each request.

    It records from the start of the lifespan to its end, or per request where there is none.
    `outside` is what was asked meanwhile in no request.
    """

    def __init__(self, app: App) -> None:
        self._app = load(app)
        self._logs: list[RequestLog] = []
        self._in_flight = 0
        self._ended = threading.Condition(_lock)
        self.outside = Statements()

    def take(self) -> list[RequestLog]:
        """The requests since the last call, in the order in which they ended.

        Waits until none is in flight, because one ends after its response has gone out; so not on
        the loop's thread. Raises TimeoutError after 10 s.
        """
        with self._ended:
            if not self._ended.wait_for(lambda: not self._in_flight, TAKE_TIMEOUT_S):
                raise TimeoutError(f"{self._in_flight} requests in flight: take after the load")
            taken, self._logs = self._logs, []
        return taken

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass it on."""
        with recording() as outside:
            if scope["type"] == "lifespan":
                self.outside = outside
            if scope["type"] == "http":
                await self._note(scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _note(self, scope: Any, receive: Any, send: Any) -> None:
        request, status, begun_ns = _Request(), 0, now_ns()

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with _lock:
            self._in_flight += 1
        token = _request.set(request)
        try:
            await self._app(scope, receive, noted)
        finally:
            _request.reset(token)
            head = scope["method"], scope["path"], begun_ns, now_ns(), status
            with self._ended:
                request.over = True
                statements = tuple(request.queries), tuple(request.commands)
                self._logs.append(RequestLog(*head, *statements))
                self._in_flight -= 1
                self._ended.notify_all()


_recorders: dict[str, Recorder] = {}


def recorded(app: str) -> str:
    """The name by which `serve`, in a process too, finds `app` ("module:name") in a `Recorder`.

    `server.inside(taken, app)` asks for its log.
    """
    return f"{__name__}:{app}"


def taken(app: str) -> list[RequestLog]:
    """`Recorder.take` of the latest server of `recorded(app)` in this process."""
    return _recorders[app].take()


def outside(app: str) -> Statements:
    """`Recorder.outside` of the same server."""
    return _recorders[app].outside


def __getattr__(name: str) -> Recorder:
    if ":" not in name:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _recorders[name] = Recorder(name)
    return _recorders[name]


@contextlib.contextmanager
def _noted(statement: Any, context: Any, command: bool = False) -> Iterator[None]:
    sql, begun_ns, ended_by = _text(statement, context), now_ns(), ""
    request = _request.get()
    try:
        yield
    except BaseException as error:
        if not isinstance(error, GeneratorExit):  # the rest of a stream is not wanted
            ended_by = type(error).__name__
        raise
    finally:
        query = Query(sql, begun_ns, now_ns(), ended_by)
        with _lock:
            for log in _outside if request is None or request.over else [request]:
                (log.commands if command or not sql else log.queries).append(query)


def _text(statement: Any, context: Any) -> str:
    if hasattr(statement, "as_string"):
        return str(statement.as_string(context))
    if hasattr(statement, "interpolations"):  # a template string: {expression} for its value
        parts = (p if isinstance(p, str) else f"{{{p.expression}}}" for p in statement)
        return "".join(parts)
    return statement.decode() if isinstance(statement, bytes) else str(statement)


def _wrap() -> None:
    from psycopg import AsyncCursor, AsyncServerCursor, Cursor, ServerCursor
    from psycopg._connection_base import BaseConnection

    wrappers: list[tuple[Any, str, Callable[..., Any]]] = [
        (Cursor, "execute", _call),
        (Cursor, "executemany", _call),
        (Cursor, "stream", _stream),
        (Cursor, "copy", _copy),
        (ServerCursor, "execute", _call),  # does not call its base's
        (AsyncCursor, "execute", _async_call),
        (AsyncCursor, "executemany", _async_call),
        (AsyncCursor, "stream", _async_stream),
        (AsyncCursor, "copy", _async_copy),
        (AsyncServerCursor, "execute", _async_call),
        (BaseConnection, "_exec_command", _command),
    ]
    for owner, name, wrapper in wrappers:
        original = owner.__dict__[name]
        _wrapped.callback(setattr, owner, name, original)
        setattr(owner, name, functools.partialmethod(wrapper, original))


def _call(self: Any, original: Any, query: Any, *args: Any, **named: Any) -> Any:
    with _noted(query, self):
        return original(self, query, *args, **named)


async def _async_call(self: Any, original: Any, query: Any, *args: Any, **named: Any) -> Any:
    with _noted(query, self):
        return await original(self, query, *args, **named)


def _stream(self: Any, original: Any, query: Any, *args: Any, **named: Any) -> Iterator[Any]:
    with _noted(query, self):
        yield from original(self, query, *args, **named)


async def _async_stream(
    self: Any, original: Any, query: Any, *args: Any, **named: Any
) -> AsyncIterator[Any]:
    with _noted(query, self):
        async with contextlib.aclosing(original(self, query, *args, **named)) as rows:
            async for row in rows:
                yield row


@contextlib.contextmanager
def _copy(self: Any, original: Any, statement: Any, *args: Any, **named: Any) -> Iterator[Any]:
    with _noted(statement, self), original(self, statement, *args, **named) as copy:
        yield copy


@contextlib.asynccontextmanager
async def _async_copy(
    self: Any, original: Any, statement: Any, *args: Any, **named: Any
) -> AsyncIterator[Any]:
    with _noted(statement, self):
        async with original(self, statement, *args, **named) as copy:
            yield copy


def _command(
    self: Any, original: Any, command: Any, *args: Any, **named: Any
) -> Generator[Any, Any, Any]:
    with _noted(command, self, command=True):
        return (yield from original(self, command, *args, **named))
