"""More tasks than threads: who waits, what waits, and the bound. Counted."""

from __future__ import annotations

import numpy as np
import pytest
from alive import VICTIMS, noted, posts, ran, spoiled
from fastapi import BackgroundTasks, Body
from helpers import at_once, attempts

from lab_apps.instruments.backlog import Backlog, departures_s
from lab_apps.instruments.held import answered_meanwhile
from lab_apps.instruments.schedule import paced
from lab_apps.instruments.server import App
from lab_apps.instruments.task_run import run
from lab_apps.instruments.victims import Route
from lab_apps.practices.background_tasks.application import create_app
from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.ways import ACCEPTED
from lab_apps.practices.background_tasks.work import blocking

PLACES = 20


async def on_everybodys_threads(
    task: Task, tasks: BackgroundTasks, seconds: float
) -> dict[str, str]:
    tasks.add_task(blocking, task, seconds)
    return ACCEPTED


def check_starved(path: str, of_def: int, app: App = create_app) -> None:
    """Six tasks on four threads: who is answered before the first of them are done, of 5 each."""
    with noted(app, tokens=4) as (server, ledger):
        holder = Route(f"{path}?seconds=0.35", None, "POST")
        held = answered_meanwhile(server, holder, VICTIMS, hold_ms=350, holders=6)
        ledger.wait_for("done", 6, 5)
    assert held.trial.errors == {}
    assert held.answered == {"async": 5, "def": of_def}


@pytest.mark.parametrize(
    ("path", "of_def"), [("/background/blocking", 0), ("/crowd/own-limiter", 5)]
)
def test_a_limiter_of_its_own_spares_the_others(path: str, of_def: int) -> None:
    attempts(check_starved, path, of_def)


def test_check_sees_a_limiter_that_is_not_its_own() -> None:
    app = spoiled("/crowd/own-limiter", on_everybodys_threads)
    with pytest.raises(AssertionError):
        attempts(check_starved, "/crowd/own-limiter", 5, app)


def check_backlog(path: str, tokens: int = 4) -> None:
    """400 a second for 0.2 s, of which four threads do 200: 40 are left and 0.2 s to drain them."""
    schedule = paced(400, 0.2)
    done = ran(f"{path}?seconds=0.02", schedule, tokens=tokens)
    predicted = Backlog.between(schedule.at_s, departures_s(schedule.at_s, 4, 0.02))
    seen = Backlog.of(done)
    assert done.trial.errors == {}
    assert done.count("accepted") == done.count("done") == 80
    assert seen.highest == pytest.approx(predicted.highest, rel=0.15)
    assert seen.empty_s == pytest.approx(predicted.empty_s, rel=0.2)


def test_backlog_grows_by_the_difference_of_the_rates() -> None:
    attempts(check_backlog, "/background/blocking")


@pytest.mark.parametrize(
    ("path", "tokens"), [("/background/blocking", 8), ("/background/awaiting", 4)]
)
def test_check_sees_another_backlog(path: str, tokens: int) -> None:
    with pytest.raises(AssertionError):
        attempts(check_backlog, path, tokens)


def check_bound(app: App = create_app) -> None:
    """30 at once: 20 are accepted and 10 told so; later there are places again."""
    with noted(app, tokens=40) as (server, ledger):
        for _ in range(2):
            done = run(server, ledger, posts("/crowd/bounded?seconds=0.3", at_once(30)))
            statuses = done.trial.rows["status"]
            assert (statuses == 200).sum() == PLACES == done.count("done")
            assert (statuses == 503).sum() == 10
            assert Backlog.of(done).highest == PLACES


def test_bound() -> None:
    attempts(check_bound)


def test_check_sees_no_bound() -> None:
    with pytest.raises(AssertionError):
        attempts(check_bound, spoiled("/crowd/bounded", on_everybodys_threads))


def check_payload(app: App = create_app) -> None:
    """What was sent is what the task gets."""
    with noted(app) as (server, ledger):
        sent = posts("/crowd/payload?seconds=0.01", at_once(3), bytes(1000))
        done = run(server, ledger, sent, ends=("delivered 1000",), timeout_s=1)
    assert done.trial.errors == {}
    assert done.count("done") == done.count("delivered 1000") == 3


async def dropped(task: Task, tasks: BackgroundTasks, body: bytes = Body()) -> dict[str, str]:
    tasks.add_task(blocking, task, len(body) * 0)
    return ACCEPTED


def test_payload() -> None:
    check_payload()


def test_check_sees_a_dropped_payload() -> None:
    with pytest.raises((AssertionError, TimeoutError)):
        check_payload(spoiled("/crowd/payload", dropped))


def test_departures() -> None:
    at_s = np.array([0, 0, 0, 0.5, 5])
    assert departures_s(at_s, 2, 1.0).tolist() == [1, 1, 2, 2, 6]
    assert departures_s(at_s, 9, 1.0).tolist() == [1, 1, 1, 1.5, 6]
    assert departures_s(np.array([]), 2, 1.0).tolist() == []


def test_backlog_counts() -> None:
    seen = Backlog.between(np.array([0.0, 1, 2]), np.array([1.5, 4, 3]))
    assert [seen.at(second) for second in (-1, 0, 1.2, 1.6, 2, 3.5, 9)] == [0, 1, 2, 1, 2, 1, 0]
    assert (seen.highest, seen.empty_s) == (2, 4)
    with pytest.raises(ValueError, match="no end"):
        _ = Backlog.between(np.array([0.0]), np.array([])).empty_s
