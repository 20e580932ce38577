"""How long a session is held beside a task, as the database says, and what locks up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from alive import noted, posts
from fastapi import BackgroundTasks, FastAPI
from helpers import at_once, attempts
from matplotlib.figure import Figure

from lab_apps.instruments import lockup, postgres
from lab_apps.instruments.ledger import Event
from lab_apps.instruments.lockup import Sessions
from lab_apps.instruments.schedule import paced
from lab_apps.instruments.server import serve
from lab_apps.instruments.task_run import Run, disturbance, run, undisturbed
from lab_apps.instruments.task_sessions import Watched, over_time
from lab_apps.instruments.trial import ROW, Trial
from lab_apps.practices.background_tasks import sessions
from lab_apps.practices.background_tasks.sessions import Session, create_app
from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.ways import ACCEPTED
from lab_apps.practices.background_tasks.work import awaiting

needs_postgres = pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not())

HELD = {
    "background": 6,
    "naive": 0,
    "group": 0,
    "function-scope": 0,
    "own-session": 6,
    "own-session-function-scope": 0,
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a schema."""
    with postgres.database().schema() as schema:
        yield schema.url
    postgres.stop()


async def held_all_the_same(_: Session, task: Task, tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(awaiting, task, 0.3)
    return ACCEPTED


def spoiled(url: str, path: str) -> FastAPI:
    """The app with a request-scoped session at that path."""
    app = create_app(url, connections=8)
    app.router.routes.clear()
    app.add_api_route(path, held_all_the_same, methods=["POST"], response_model=None)
    return app


def check_held(app: FastAPI, url: str, path: str, held: int) -> None:
    """Six requests at once with a task each: so many connections are in a transaction."""
    with noted(app) as (server, ledger), lockup.watching(url) as watch:
        done = run(server, ledger, posts(f"/sessions/{path}?seconds=0.3", at_once(6)))
    assert done.trial.errors == {}
    assert done.count("done") == 6
    assert Watched(done, watch).held == (held, held)


@needs_postgres
@pytest.mark.parametrize("path", HELD)
def test_held_for_as_long_as_the_task(path: str, url: str) -> None:
    attempts(check_held, create_app(url, connections=8), url, path, HELD[path])


@needs_postgres
@pytest.mark.parametrize("path", ["function-scope", "own-session-function-scope", "naive"])
def test_check_sees_what_is_held(path: str, url: str) -> None:
    with pytest.raises(AssertionError):
        attempts(check_held, spoiled(url, f"/sessions/{path}"), url, path, HELD[path])


def check_locked(url: str, path: str, number: int, most: int) -> None:
    """So many requests at once on a pool of three: tasks that get no connection."""
    app = create_app(url, connections=3, timeout_s=0.3)
    with noted(app) as (server, ledger):
        calls = posts(f"/sessions/{path}?seconds=0.1", at_once(number))
        done = run(server, ledger, calls, ends=("done", "no connection"))
    assert done.trial.errors == {}
    assert min(1, most) <= done.count("no connection") <= most


LOCKS = [("own-session", 2, 0), ("own-session", 3, 3), ("own-session-function-scope", 3, 0)]


@needs_postgres
@pytest.mark.parametrize(("path", "number", "most"), LOCKS)
def test_sessions_lock_up(path: str, number: int, most: int, url: str) -> None:
    attempts(check_locked, url, path, number, most)


@needs_postgres
def test_check_sees_what_locks_up(url: str) -> None:
    for path, number, most in (("own-session", 3, 0), ("own-session", 2, 2)):
        with pytest.raises(AssertionError):
            attempts(check_locked, url, path, number, most)


@needs_postgres
@pytest.mark.parametrize(("path", "waits"), [("background", True), ("function-scope", False)])
def test_a_pool_has_a_rate(path: str, waits: bool, url: str) -> None:
    """3 connections and tasks of 0.1 s: 30 a second, and 60 are asked for."""

    def check() -> None:
        with noted(create_app(url, connections=3)) as (server, ledger):
            done = run(server, ledger, posts(f"/sessions/{path}?seconds=0.1", paced(60, 0.4)))
        assert (np.median(done.trial.response_ms) > 50) is np.bool_(waits)

    attempts(check)


def test_needs_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sessions.VARIABLE, raising=False)
    with pytest.raises(RuntimeError, match="LAB_DATABASE_URL is not set"), serve(create_app()):
        pass


def made(disturbed: str = "") -> Run:
    """A run of two tasks at work from 10 to 90 ns."""
    events = [
        *(Event(at, 1, "loop", "a", what) for at, what in ((0, "begun"), (90, "done"))),
        *(Event(at, 1, "loop", "b", what) for at, what in ((10, "begun"), (95, "done"))),
    ]
    trial = Trial(np.zeros(0, ROW), ("calls",), 0, 1.0, 0.0, 0.0)
    return Run(trial, sorted(events), disturbed)


def test_held_is_that_of_the_middle() -> None:
    stamps = Sessions(at_ns=[5, 29, 31, 50, 69, 71, 99], active=[9, 9, 1, 0, 0, 9, 9], idle=[0] * 7)
    seen = Watched(made(), stamps)
    assert seen.span_ns == (10, 90)
    assert seen.held == (0, 1)
    assert isinstance(over_time({"one": seen, "two": seen}), Figure)
    with pytest.raises(ValueError, match="empty"):
        _ = Watched(made(), Sessions()).held


def measured(*said: str) -> Callable[[], Run]:
    left = list(said)
    return lambda: made(left.pop(0))


def test_first_undisturbed_run_counts() -> None:
    assert undisturbed(measured("hog", "", "never asked")).disturbed == ""
    assert undisturbed(measured("first", "second", "never asked")).disturbed == "second"
    assert undisturbed(measured("first", "second", "", "no"), most=4).disturbed == ""
    assert disturbance([made(), made("hog"), made("other")]) == "hog"
    assert disturbance([made()]) == ""
