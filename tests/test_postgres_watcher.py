"""The watcher of a database: killed, held, signalled or bereft, it leaves nothing."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import runs, wait_until
from postgres_targets import answer, check_empty, needs_embedded, own_shelf, server_pid, using

from lab_apps.instruments import postgres
from lab_apps.instruments.postgres import database, stop

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")

pytestmark = needs_embedded


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_shelf(monkeypatch) as folder:
        yield folder


def watcher_pid() -> int:
    assert postgres._running is not None
    return postgres._running.process.pid


@on_linux
def test_killed_watcher_takes_the_server_along_and_the_next_call_starts_another(
    place: Path,
) -> None:
    first = database()
    pids = using(place) | {watcher_pid()}
    server = server_pid(place)
    os.kill(watcher_pid(), signal.SIGKILL)
    assert wait_until(lambda: not runs(server), 5)
    assert wait_until(lambda: not any(runs(pid) for pid in pids), 5)
    assert list(place.iterdir())  # only the watcher could have removed it, until now
    second = database()
    assert second.url != first.url
    assert len(list(place.iterdir())) == 1
    assert answer(second.url, "SELECT 1") == [(1,)]


@on_linux
def test_watcher_that_hangs_is_killed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "STOP_S", 0.2)
    database()
    os.kill(watcher_pid(), signal.SIGSTOP)
    stop()
    check_empty(place)


def test_signals_to_the_watcher(place: Path) -> None:
    """An interrupt in the terminal does not reach it; a termination has it clean up."""
    database()
    watcher = watcher_pid()
    assert os.getsid(watcher) == watcher
    os.kill(watcher, signal.SIGINT)
    time.sleep(0.7)  # it looks twice a second
    assert runs(watcher)
    assert answer(database().url, "SELECT 1") == [(1,)]
    os.kill(watcher, signal.SIGTERM)
    assert wait_until(lambda: not list(place.iterdir()), 10)
    check_empty(place)


def test_watcher_of_a_server_that_ends_cleans_up(place: Path) -> None:
    database()
    watcher = watcher_pid()
    os.kill(server_pid(place), signal.SIGQUIT)
    assert wait_until(lambda: not runs(watcher), 10)
    check_empty(place)
