"""A held worker keeps its connections waiting, and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from fastapi import FastAPI
from helpers import needs_proc, no_leftovers

from lab_apps.instruments import pinned
from lab_apps.instruments.listener import listener
from lab_apps.instruments.pinned import answered_meanwhile
from lab_apps.instruments.server import serve
from lab_apps.instruments.workers import serve_workers

SPECIMEN = "lab_apps.practices.async_routes:app"
BLOCKS, AWAITS = "/terrible-ping?hold_ms=1500", "/perfect-ping?hold_ms=1500"
ITS_OWN, OTHERS, NEW = "its own connections", "the others' connections", "new connections"


def shares(url: str, holder: str = BLOCKS, victim: str = "/victim") -> Mapping[str, float]:
    return answered_meanwhile(url, who="/who", holder=holder, victim=victim, wait_s=0.5)


def check_pinned(shares: Callable[[str], Mapping[str, float]]) -> None:
    with no_leftovers(), serve_workers(SPECIMEN, 2) as server:
        assert shares(server.url) == {ITS_OWN: 0, OTHERS: 1, NEW: 1}


@needs_proc
def test_only_the_held_workers_connections_wait() -> None:
    check_pinned(shares)


@needs_proc
def test_check_sees_a_worker_that_is_not_held() -> None:
    """An awaiting route holds nobody, and everybody is answered."""
    seen: list[Mapping[str, float]] = []

    def awaiting(url: str) -> Mapping[str, float]:
        seen.append(shares(url, AWAITS))
        return seen[-1]

    with pytest.raises(AssertionError):
        check_pinned(awaiting)
    assert seen == [{ITS_OWN: 1, OTHERS: 1, NEW: 1}]


@needs_proc
def test_check_sees_victims_that_wait_of_themselves() -> None:
    seen: list[Mapping[str, float]] = []

    def waiting(url: str) -> Mapping[str, float]:
        seen.append(shares(url, AWAITS, AWAITS))
        return seen[-1]

    with pytest.raises(AssertionError):
        check_pinned(waiting)
    assert seen == [{ITS_OWN: 0, OTHERS: 0, NEW: 0}]


@needs_proc
def test_one_process_is_no_case(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    @app.get("/who")
    async def who() -> dict[str, int]:
        return {"pid": 7}

    monkeypatch.setattr(pinned, "MOST", 20)
    with (
        serve(app) as server,
        no_leftovers(),
        pytest.raises(RuntimeError, match="20 connections are all with the processes"),
    ):
        shares(server.url)


def test_nobody_listens() -> None:
    with listener() as sock, pytest.raises(ConnectionRefusedError):
        shares(f"http://127.0.0.1:{sock.getsockname()[1]}")
