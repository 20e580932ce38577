"""Experiments run at once: names, order, failures and interrupts, and each its own load worker."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from helpers import TESTS, interrupted, needs_proc, no_leftovers
from test_stops import APP, KILL, TERM, fate

from lab_apps.instruments import load, stops
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.schedule import paced
from lab_apps.instruments.stops import Fate, each, stopped, stopped_under_load

pytestmark = needs_proc


@pytest.fixture(autouse=True)
def _apps_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def test_each_keeps_names_and_order_and_runs_some_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock, at_work, most = threading.Lock(), 0, 0

    def run(number: int) -> Fate:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.05 if number else 0.2)  # the first one ends last
        with lock:
            at_work -= 1
        return fate(missed=str(number))

    seen = each(
        "some", {name: partial(run, number) for number, name in enumerate("zyxwvutsrqponmlk")}
    )
    assert list(seen) == list("zyxwvutsrqponmlk")
    assert [one.mistimed for one in seen.values()] == [str(number) for number in range(16)]
    assert most == stops.AT_ONCE
    assert "some 16/16" in capsys.readouterr().out


def test_each_raises_the_first_failure_and_begins_no_other() -> None:
    begun: list[int] = []

    def run(number: int) -> Fate:
        begun.append(number)
        if number == 1:
            raise ChildError("no port")
        time.sleep(0.1)
        return fate()

    with no_leftovers(), pytest.raises(ChildError, match="no port"):
        each("some", {str(number): partial(run, number) for number in range(40)})
    assert len(begun) < 20


def test_an_interrupt_of_each_begins_no_other() -> None:
    begun: list[int] = []

    def run(number: int) -> Fate:
        begun.append(number)
        time.sleep(0.3)
        return fate()

    with no_leftovers(), interrupted(0.1):
        each("some", {number: partial(run, number) for number in range(20)})
    assert begun == list(range(stops.AT_ONCE))


def test_each_leaves_no_server_when_one_fails() -> None:
    apps = {"noting_apps:missing": 1, APP: 10}
    experiments = {app: partial(stopped, app, "/", TERM, tasks) for app, tasks in apps.items()}
    with no_leftovers(), pytest.raises(ChildError, match="missing"):
        each("some", experiments)


def test_threads_send_at_the_same_time() -> None:
    """Each has a load worker of its own, which the next experiment takes over."""
    load.end_beside()
    schedule = paced(10, 1.5)
    experiments = {
        str(number): partial(stopped_under_load, APP, f"/{number}", KILL, schedule)
        for number in range(4)
    }
    fates = each("some", experiments)
    for seen in fates.values():
        assert seen.accepted == len(seen.trial.rows) == 15
        assert not seen.trial.errors
    assert 2 <= len(load._beside) <= 4
    starts_ns = sorted(seen.trial.start_ns for seen in fates.values())
    assert starts_ns[1] - starts_ns[0] < 1.5e9  # not one after the other
    load.end_beside()
    assert not load._beside
