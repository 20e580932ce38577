"""The proxy to Postgres: it leaves nothing, whatever ends it, and listens on no port."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from helpers import children, needs_proc, no_leftovers, runs, wait_until
from postgres_targets import own_database
from proxied import connect, folder
from psycopg.conninfo import conninfo_to_dict

from lab_apps.instruments.child import ChildError
from lab_apps.instruments.proxy import delayed


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with own_database() as url:
        yield url


@needs_proc
def test_it_leaves_nothing(url: str) -> None:
    with delayed(url) as proxy, connect(proxy):
        pass  # what is imported only now is
    with no_leftovers():
        with delayed(url, 1) as proxy:
            where = folder(proxy)
            assert where.stat().st_mode & 0o777 == 0o700
            connection = connect(proxy)
        assert not where.exists()
        with pytest.raises(psycopg.OperationalError):  # the connection went with it
            connection.execute("SELECT 1")
        connection.close()
    for ask in (lambda: proxy.round_trips, lambda: setattr(proxy, "delay_ms", 1)):
        with pytest.raises(ChildError, match="this proxy has stopped"):
            ask()
    proxy.stop()


@needs_proc
def test_it_listens_on_no_tcp_port(url: str) -> None:
    before = children(os.getpid())
    with delayed(url):
        (pid,) = hosts(before)
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
        sockets = {link for link in links if link.startswith("socket:")}
        assert sockets
        tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6")]
        rows = [row for table in tables if table.exists() for row in table.read_text().splitlines()]
        assert not sockets & {f"socket:[{row.split()[9]}]" for row in rows if row.split()[9:]}


def hosts(before: set[int]) -> list[int]:
    """The proxies that this process has started since."""
    found = []
    for pid in children(os.getpid()) - before:
        with contextlib.suppress(OSError):  # one that has just ended
            if b"proxy:_host" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


@needs_proc
def test_killed_proxy(url: str) -> None:
    before = children(os.getpid())
    with no_leftovers(), delayed(url) as proxy:
        (pid,) = hosts(before)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ChildError):
            _ = proxy.round_trips
        assert wait_until(lambda: not folder(proxy).exists(), 5)


def gone_within_s(timeout_s: float, pids: set[int], where: Path) -> bool:
    return wait_until(lambda: not where.exists() and not any(map(runs, pids)), timeout_s)


PARENT = """
import sys, time
from lab_apps.instruments.proxy import delayed
with delayed(sys.argv[1], 1) as proxy:
    print(proxy.url, flush=True)
    time.sleep(60)
"""


@needs_proc
def test_it_ends_when_its_parent_is_killed(url: str) -> None:
    for _ in range(3):
        line = [sys.executable, "-c", PARENT, url]
        parent = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        where = Path(str(conninfo_to_dict(parent.stdout.readline().strip())["host"]))
        pids = children(parent.pid)
        assert len(pids) == 2
        assert where.exists()
        parent.kill()
        parent.communicate()
        assert gone_within_s(5, pids, where)
