"""The database: there soon, one for a process and its threads, and gone when it is stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers import attempts, runs
from postgres_targets import answer, break_watcher, bystander, needs_embedded, own_shelf, using

from lab_apps.instruments import postgres
from lab_apps.instruments.postgres import database, stop

READY_WITHIN_S = 3.0

pytestmark = needs_embedded


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_shelf(monkeypatch) as folder:
        yield folder


@pytest.fixture(scope="module")
def outer() -> Iterator[str]:
    with bystander() as url:
        yield url


def test_ready_soon() -> None:
    def check() -> None:
        stop()
        assert postgres.version() == "-"
        assert database().started_s < READY_WITHIN_S
        assert postgres.version() == database().version

    attempts(check)
    assert database().embedded
    assert int(database().version.split(".")[0]) >= 18


def test_one_server_for_a_process_and_its_threads(place: Path, outer: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        databases = list(pool.map(lambda _: database(), range(8)))
    assert all(one is databases[0] for one in databases)
    assert len(list(place.iterdir())) == 1
    assert answer(databases[0].url, "SELECT 1") == [(1,)]  # also when the starting thread is gone
    stop()
    assert databases[0].url != outer
    assert answer(outer, "SELECT 1") == [(1,)]


def test_nothing_listens_on_tcp(place: Path) -> None:
    assert answer(database().url, "SHOW listen_addresses") == [("",)]
    check_no_tcp(using(place))


def check_no_tcp(pids: set[int]) -> None:
    """None of the processes holds a TCP socket: inodes of proc_pid_net(5)."""
    tables = [Path(f"/proc/net/{kind}") for kind in ("tcp", "tcp6")]
    rows = [row.split() for table in tables for row in table.read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows}
    held = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):  # of a session that has ended
            held |= {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    assert held
    assert not held & inodes


def test_check_sees_a_server_on_tcp(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_watcher(monkeypatch, place, '"listen_addresses="', '"listen_addresses=127.0.0.1"')
    database()
    with pytest.raises(AssertionError):
        check_no_tcp(using(place))
    stop()
    (place / "broken.py").unlink()


def test_stop_leaves_nothing(place: Path) -> None:
    stop()
    database()
    (lock_file,) = place.glob("lab-pg-*/data/postmaster.pid")
    segment = lock_file.read_text().split("\n")[6].split()[1]
    assert segment in segments()
    pids = using(place)
    assert len(pids) > 3
    stop()
    stop()
    assert not list(place.iterdir())
    assert not any(runs(pid) for pid in pids)
    assert segment not in segments()


def segments() -> set[str]:
    """Ids of the System V shared memory segments, which outlive their processes."""
    return {row.split()[1] for row in Path("/proc/sysvipc/shm").read_text().splitlines()}
