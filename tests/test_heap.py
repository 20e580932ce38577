"""A server in a thread leaves out of collections what its process holds; that ends with it."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import apps
import httpx
import pytest
from helpers import TESTS
from targets import OwnError

from lab_apps.instruments import server
from lab_apps.instruments.server import serve


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    assert gc.get_freeze_count() == 0
    yield
    gc.unfreeze()


def check_heap() -> None:
    """Frozen within the block, thawed after it, however it ends."""
    with serve(apps.bare) as one:
        assert gc.get_freeze_count() > 1000
        assert httpx.get(one.url).text == "bare"
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0
    endings: list[tuple[server.App, type[BaseException]]] = [
        (apps.bare, OwnError),
        (apps.startup_fails, OwnError),
        (apps.startup_exits, SystemExit),
        (apps.shutdown_fails, OwnError),
        ("apps:missing", ValueError),
    ]
    for app, error in endings:
        with pytest.raises(error), serve(app):
            raise OwnError("in the block")
        assert gc.get_freeze_count() == 0, app


def test_heap() -> None:
    check_heap()


@contextlib.contextmanager
def for_good() -> Iterator[None]:
    gc.freeze()
    yield


@contextlib.contextmanager
def without_finally() -> Iterator[None]:
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("broken", [contextlib.nullcontext, for_good, without_finally])
def test_check_sees_a_heap_left_as_it_is(
    broken: Callable[[], AbstractContextManager[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_notebook_left_out", broken)
    with pytest.raises(AssertionError):
        check_heap()


class Circle:
    """Only a collection gets rid of it."""

    def __init__(self) -> None:
        self.itself = self


def test_collections_pass_over_what_was_there() -> None:
    """And over nothing that comes later."""
    gc.disable()
    try:
        there = weakref.ref(Circle())
        with serve(apps.bare):
            later = weakref.ref(Circle())
            gc.collect()
            assert there() is not None
            assert later() is None
        gc.collect()
        assert there() is None
    finally:
        gc.enable()


def test_server_in_a_process_freezes_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with serve("apps:bare", where="process") as one:
        assert gc.get_freeze_count() == 0
        assert httpx.get(one.url).text == "bare"
