"""A deadlock of two pools, threads and connections, and what is said to mend it.

Whoever has a connection needs a thread to be done with it, and all threads are taken by those who
wait for a connection. Every route below runs one query in a session; they differ in a word or two.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from psycopg import Connection
from psycopg_pool import ConnectionPool
from pydantic import BaseModel

from lab_apps.practices.async_routes.connections import CONNECTIONS, AsyncPool, Pool

router = APIRouter(prefix="/session")

QUERY = "SELECT 1 FROM pg_sleep(%s)"


class Report(BaseModel):
    """The answer of every route."""

    rows: int


class Session:
    """Takes a connection for its first query and keeps it to its end, as SQLAlchemy's does."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._stack = contextlib.ExitStack()
        self._connection: Connection[Any] | None = None

    def report(self, query_ms: float) -> Report:
        """Ask a query of that length. Raises PoolTimeout where no connection comes free in time."""
        if self._connection is None:
            self._connection = self._stack.enter_context(self._pool.connection())
        return Report(rows=self._connection.execute(QUERY, (query_ms / 1e3,)).rowcount)

    def __enter__(self) -> Session:
        """No connection is taken yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit, or roll back after an error, and give the connection back."""
        self._stack.__exit__(kind, error, trace)


def get_session(pool: Pool) -> Iterator[Session]:
    """A session that is open until the response has been sent."""
    with Session(pool) as session:
        yield session


async def get_session_async(pool: Pool) -> AsyncIterator[Session]:
    """The same as an async generator."""
    with Session(pool) as session:
        yield session


def get_connection(pool: Pool) -> Iterator[Connection[Any]]:
    """A connection that is taken before the route is called."""
    with pool.connection() as connection:
        yield connection


OneSession = Annotated[Session, Depends(get_session)]
FunctionSession = Annotated[Session, Depends(get_session, scope="function")]
AsyncDependency = Annotated[Session, Depends(get_session_async)]
LimitedSession = Annotated[Session, Depends(get_session, max_concurrency=CONNECTIONS)]
OneConnection = Annotated[Connection[Any], Depends(get_connection)]


@router.get("/deadlock")
def deadlock(session: OneSession, query_ms: float = 10) -> Report:
    """As the documentation has it: FastAPI validates the answer in a thread, if it gets one."""
    return session.report(query_ms)


@router.get("/async-dependency")
def async_dependency(session: AsyncDependency, query_ms: float = 10) -> Report:
    """The dependency takes no thread, the answer does."""
    return session.report(query_ms)


@router.get("/function-scope")
def function_scope(session: FunctionSession, query_ms: float = 10) -> Report:
    """Closed before the response is sent, and after it has been validated."""
    return session.report(query_ms)


@router.get("/connection", response_model=None)
def connection(connection: OneConnection, query_ms: float = 10) -> Report:
    """Nothing is validated, but between its dependency and the route a request needs a thread."""
    return Report(rows=connection.execute(QUERY, (query_ms / 1e3,)).rowcount)


@router.get("/no-model", response_model=None)
def no_model(session: OneSession, query_ms: float = 10) -> Report:
    """Nothing is validated, so nobody who has a connection needs a thread."""
    return session.report(query_ms)


@router.get("/response")
def response(session: OneSession, query_ms: float = 10) -> Response:
    """A `Response` isn't validated either."""
    return Response(session.report(query_ms).model_dump_json(), media_type="application/json")


@router.get("/inside")
def inside(pool: Pool, query_ms: float = 10) -> Report:
    """The connection is given back before the answer is validated."""
    with Session(pool) as session:
        return session.report(query_ms)


@router.get("/max-concurrency")
def max_concurrency(session: LimitedSession, query_ms: float = 10) -> Report:
    """At most as many sessions as connections; the others wait on the event loop."""
    return session.report(query_ms)


@router.get("/await")
async def awaited(pool: AsyncPool, query_ms: float = 10) -> Report:
    """The async driver: no threads."""
    async with pool.connection() as connection:
        cursor = await connection.execute(QUERY, (query_ms / 1e3,))
        return Report(rows=cursor.rowcount)
