"""A post is read by its key, in both forms alike, and by many threads over one connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from specimens import LOOPS, spoiled

from lab_apps.instruments import load
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import App, serve
from lab_apps.instruments.wire import Stream
from lab_apps.practices import async_routes
from lab_apps.practices.async_routes import reads, resources

FORMS = {"read-inline": "event loop", "read-def": "worker thread"}
NUMBERS = range(0, 1000, 63)


def check_reads(app: App, loop: Any = "auto") -> None:
    """The title of that very post, and where it was read; a post that isn't there is an error."""
    with serve(app, loop=loop) as server:
        for form, ran_on in FORMS.items():
            for number in (0, 7, 999):
                answer = httpx.get(f"{server.url}/{form}/{number}")
                assert answer.json() == {"title": f"post {number}", "ran_on": ran_on}
            for wrong, status in (("1000", 500), ("-1", 500), ("seven", 422)):
                assert httpx.get(f"{server.url}/{form}/{wrong}").status_code == status
            assert httpx.get(f"{server.url}/{form}/7").status_code == 200


def check_threads(app: App) -> None:
    """16 users of the `def` form, each with a post of its own."""
    streams = [
        Stream(
            f"{number}",
            f"/read-def/{number}",
            closed(1, requests=25),
            f'{{"title":"post {number}","ran_on":"worker thread"}}'.encode(),
        )
        for number in NUMBERS
    ]
    with serve(app) as server:
        trial = load.send(server.url, *streams)
    assert len(trial.rows) == 16 * 25
    assert trial.errors == {}


@pytest.mark.parametrize("loop", LOOPS)
def test_reads(loop: Any) -> None:
    check_reads(async_routes.app, loop)


def test_reads_in_many_threads() -> None:
    check_threads(async_routes.app)


async def on_the_loop(number: int, request: Request) -> dict[str, str]:
    return reads.read_def(number, request)


def another_post(number: int, request: Request) -> dict[str, str]:
    return reads.read_def(min(number, 998), request)


@pytest.mark.parametrize("broken", [on_the_loop, another_post])
def test_check_sees_broken_reads(broken: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError):
        check_reads(spoiled("/read-def/{number}", broken))


def test_check_sees_a_connection_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **_: connect(path))
    with pytest.raises(AssertionError):
        check_threads(async_routes.app)


def test_title_of_a_post_that_is_not_there(tmp_path: Path) -> None:
    with resources.database(tmp_path / "posts.db") as db:
        assert reads.title(db, 999) == "post 999"
        with pytest.raises(TypeError):
            reads.title(db, 1000)
