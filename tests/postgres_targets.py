"""What the tests of the database need: a folder that must end empty, and kernels to kill."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from helpers import runs, wait_until

GONE_WITHIN_S = 15.0  # Postgres gets four of them before it is killed
ROOT = Path(__file__).parents[1]
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
