"""What the tests of the database share: a folder that must end empty, and kernels to kill."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from helpers import needs_proc, no_leftovers, runs, wait_until

from lab_apps.instruments import postgres, postgres_watch
from lab_apps.instruments.postgres import Database, stop, why_not

GONE_WITHIN_S = 15.0  # Postgres gets four of them before it is killed
ROOT = Path(__file__).parents[1]
HERE = "SELECT current_schema()"
TABLES = "SELECT count(*) FROM pg_tables WHERE tablename = 'things'"
SQL_LISTING = """
    SELECT 'schema', oid::text, nspname::text, nspacl::text FROM pg_namespace UNION
    SELECT 'relation', oid::text, relnamespace::regnamespace || '.' || relname, relacl::text
    FROM pg_class UNION
    SELECT 'row', ctid::text, xmin::text, note FROM bystander.notes UNION
    SELECT 'database', oid::text, datname::text, datacl::text FROM pg_database UNION
    SELECT 'role', oid::text, rolname::text, '' FROM pg_roles ORDER BY 1, 2, 3
"""

STARTS = """
import os, sys, time
from lab_apps.instruments.postgres import database
print("starts", flush=True)
one = database()
"""
READY = STARTS + "print(one.url, flush=True)\n"
WAITS = READY + "time.sleep(60)\n"
BUSY = WAITS.replace(
    "time.sleep(60)",
    """
import psycopg
with one.schema() as inner, psycopg.connect(inner.url) as connection:
    connection.execute("CREATE TABLE things (id int)")
    print("busy", flush=True)
    connection.execute("SELECT pg_sleep(60)")
""",
)

needs_embedded = [needs_proc, pytest.mark.skipif(not postgres.installed(), reason=why_not())]


@contextlib.contextmanager
def shelf() -> Iterator[Path]:
    """A folder for temporary folders that every account can enter; empty and unused at the end."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
        check_empty(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_empty(folder: Path, within_s: float = GONE_WITHIN_S) -> None:
    """Assert that nothing is in the folder, and that nothing runs that has to do with it."""
    wait_until(lambda: not using(folder) and not list(folder.iterdir()), within_s)
    assert not using(folder)
    assert not list(folder.iterdir())


def using(folder: Path) -> set[int]:
    """Process ids of those at work in the folder, or with it as their TMPDIR; without this one."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            inside = (process / "cwd").readlink().is_relative_to(folder)
            variables = (process / "environ").read_bytes().split(b"\0")
            if inside or f"TMPDIR={folder}".encode() in variables:
                found.add(int(process.name))
    return {pid for pid in found if pid != os.getpid() and runs(pid)}


@contextlib.contextmanager
def kernel(script: str, folder: Path, *before: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the script, with the folder as its TMPDIR; killed after the block.

    `before` is a command that runs it.
    """
    process = subprocess.Popen(
        [*before, sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PATH": os.defpath, "TMPDIR": str(folder), **env},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def says(process: subprocess.Popen[str], lines: int = 1) -> str:
    """The last of so many lines that the process prints next."""
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(lines)][-1].strip()


def parents(path: Path) -> dict[str, tuple[int, int, int]]:
    """Mode and owners of the path and of all folders above it."""
    stats = {str(one): one.stat() for one in (path, *path.parents)}
    return {name: (stat.st_mode, stat.st_uid, stat.st_gid) for name, stat in stats.items()}


def answer(url: str, query: str) -> list[Any]:
    """The rows of a query, on a connection of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def own_shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders go; nothing of this process or of another may be left there."""
    monkeypatch.delenv(postgres.VARIABLE, raising=False)
    with shelf() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with no_leftovers():
            yield folder
            stop()


@contextlib.contextmanager
def own_database() -> Iterator[str]:
    """The url of this process's database, stopped at the end; skips where there is none."""
    if missing := postgres.why_not():
        pytest.skip(missing)
    yield postgres.database().url
    postgres.stop()


@contextlib.contextmanager
def bystander() -> Iterator[str]:
    """The url of another process's server, which holds a table that is none of our business."""
    with shelf() as folder, kernel(WAITS.replace("60", "3600"), folder) as process:
        url = says(process, 2)
        answer(url, "CREATE SCHEMA bystander CREATE TABLE notes (note text)")
        answer(url, "INSERT INTO bystander.notes VALUES ('mine')")
        yield url


def server_pid(place: Path) -> int:
    (lock_file,) = place.glob("lab-pg-*/data/postmaster.pid")
    return int(lock_file.read_text().split()[0])


def schema_of(one: Database) -> str:
    ((name,),) = answer(one.url, HERE)
    return str(name)


def break_watcher(monkeypatch: pytest.MonkeyPatch, place: Path, good: str, bad: str) -> None:
    source = Path(postgres_watch.__file__).read_text()
    assert source.count(good) == 1
    (place / "broken.py").write_text(source.replace(good, bad))
    monkeypatch.setattr(postgres_watch, "__file__", str(place / "broken.py"))


def check_killed(place: Path, when: str | float, **env: str) -> None:
    """SIGKILL when such a file is there, or so many seconds after the start has begun."""
    with kernel(WAITS, place, **env) as process:
        assert says(process) == "starts"
        if isinstance(when, str):
            assert wait_until(lambda: bool(list(place.glob(when))), 20)
        else:
            time.sleep(when)
        process.kill()
        check_empty(place)
        assert process.communicate()[1] == ""
