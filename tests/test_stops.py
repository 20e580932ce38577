"""A stopped server: fates of tasks whose numbers are known beforehand, and what does not count."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from helpers import TESTS, needs_proc, no_leftovers
from noting_apps import DOUBLE, LOSE, SHORT, STARTS, starts

from lab_apps.instruments import stops
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.ledger import Event
from lab_apps.instruments.schedule import paced
from lab_apps.instruments.stops import (
    Fate,
    Stop,
    each,
    meets,
    mistimed,
    stopped,
    stopped_under_load,
)
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Sent

pytestmark = needs_proc
APP = "noting_apps:app"
TERM, KILL = Stop("SIGTERM"), Stop("SIGKILL")
NO_TRIAL = Trial.of(Sent([], 0, 0, 0.0, 0.0), ("tasks",))


@pytest.fixture(scope="module", autouse=True)
def _nothing_left() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        stopped(APP, "/", KILL, 1)  # the load worker stays, with its pipes
        with no_leftovers():
            yield


def event(at_ns: int, task: str, what: str) -> Event:
    return Event(at_ns, 7, "MainThread", task, what)


def fate(*notes: tuple[str, str], missed: str = "") -> Fate:
    events = [event(at, *one) for at, one in enumerate(notes)]
    return Fate(NO_TRIAL, events, 2_000_000_000, 3_500_000_000, 0, missed)


# What is counted


def test_each_task_has_one_fate() -> None:
    done, twice = ("1", "done"), ("2", "done")
    accepted = [(task, "accepted") for task in "12345"]
    seen = fate(*accepted, ("3", "begun"), done, twice, twice, ("5", "done"), ("4", "begun"))
    assert (seen.accepted, seen.lost, seen.doubled) == (5, 2, 1)
    assert seen.tasks("done") == ["1", "2", "2", "5"]
    assert seen.tasks("returned") == []
    assert seen.stop_s == 1.5


def test_work_done_for_nobody_does_not_make_up_for_a_loss() -> None:
    seen = fate(("1", "accepted"), ("2", "done"), ("2", "done"))
    assert (seen.accepted, seen.lost, seen.doubled) == (1, 1, 1)


def test_what_was_left_of_the_work_at_the_signal() -> None:
    events = [event(500_000_000, "1", "begun"), event(1_500_000_000, "2", "begun")]
    seen = dataclasses.replace(fate(), events=[*events, event(1_600_000_000, "1", "done")])
    assert seen.left_s(1) == [-0.5, 0.5]


@pytest.mark.parametrize(
    ("at_ns", "why"),
    [
        (20, ""),
        (29, ""),
        (10, "at the signal 1 of 2 tasks were begun, 0 done"),  # at the stamp: not before it
        (30, ""),
        (31, "at the signal 2 of 2 tasks were begun, 1 done"),
        (41, "at the signal 3 of 2 tasks were begun, 1 done"),
    ],
)
def test_meets(at_ns: int, why: str) -> None:
    events = [event(5, "1", "begun"), event(15, "2", "begun"), event(30, "1", "done")]
    events.append(event(40, "3", "begun"))
    assert meets(events, at_ns, "begun", 2, "done") == why


def test_a_signal_long_after_the_last_of_them_is_not_met() -> None:
    events = [event(0, "1", "begun"), event(10**8, "2", "begun")]
    assert meets(events, 6 * 10**8, "begun", 2, "done") == ""
    why = "the signal came 0.51 s after all were begun"
    assert meets(events, 61 * 10**7, "begun", 2, "done") == why


def test_more_tasks_than_meant_are_not_met() -> None:
    events = [event(5, "1", "begun"), event(15, "2", "begun")]
    why = "at the signal 2 of 1 tasks were begun, 0 done"
    assert meets(events, 20, "begun", 1, "done") == why


def test_stops_have_names() -> None:
    assert str(Stop("SIGTERM")) == "SIGTERM"
    assert str(Stop("SIGTERM", 0)) == "SIGTERM, grace 0 s"
    assert str(Stop("SIGKILL", 3)) == "SIGKILL, grace 3 s"


def test_the_first_that_does_not_count_is_told() -> None:
    assert mistimed([]) == mistimed([fate()]) == ""
    assert mistimed([fate(), fate(missed="b"), fate(missed="c")]) == "b"


# Real servers


STARTED: dict[str, int] = {}  # by experiment


@pytest.fixture(scope="module")
def fates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fate]:
    folder = tmp_path_factory.mktemp("starts")

    def run(name: str, path: str, stop: Stop, tasks: int, **env: str) -> partial[Fate]:
        variables = {STARTS: str(folder / name), **env}
        return partial(stopped, APP, path, stop, tasks, env=variables)

    experiments = {
        "none lost": run("none lost", "/", TERM, 10),
        "some lost": run("some lost", "/", TERM, 10, **{LOSE: "3", DOUBLE: "2"}),
        "all doubled": run("all doubled", "/", Stop("SIGINT"), 7, **{DOUBLE: "7"}),
        "killed": run("killed", "/", KILL, 10, **{DOUBLE: "10"}),
        "short": run("short", "/short", TERM, 4),
        "short once": run("short once", "/", TERM, 4, **{SHORT: "1"}),
        "load": partial(stopped_under_load, APP, "/short", TERM, paced(50, 0.5)),
    }
    found = each("stops", experiments)
    for name in experiments:
        STARTED[name] = starts(folder / name)
    return found


@pytest.mark.parametrize(
    ("name", "tasks", "lost", "doubled", "status"),
    [
        ("none lost", 10, 0, 0, -15),
        ("some lost", 10, 3, 2, -15),
        ("all doubled", 7, 0, 7, 0),
        ("killed", 10, 10, 0, -9),
    ],
)
def test_known_fates_are_found(
    fates: dict[str, Fate], name: str, tasks: int, lost: int, doubled: int, status: int
) -> None:
    seen = fates[name]
    assert (seen.accepted, seen.lost, seen.doubled, seen.status) == (tasks, lost, doubled, status)
    assert not seen.mistimed
    assert not seen.trial.errors
    assert len(seen.trial.rows) == tasks
    assert STARTED[name] == 1


def test_the_signal_lies_between_the_beginnings_and_the_ends(fates: dict[str, Fate]) -> None:
    for seen in (fates["none lost"], fates["some lost"], fates["all doubled"]):
        begun = [one.at_ns for one in seen.events if one.what == "begun"]
        done = [one.at_ns for one in seen.events if one.what == "done"]
        assert max(begun) < seen.signalled_ns < min(done) <= max(done) < seen.ended_ns
        answered_ns = seen.trial.rows["done_ns"]
        assert seen.trial.start_ns < answered_ns.min() <= answered_ns.max() < seen.signalled_ns
        assert "Finished server process" in seen.said
    assert "Finished server process" not in fates["killed"].said


def test_requests_come_two_hundred_a_second(fates: dict[str, Fate]) -> None:
    gaps_ns = np.diff(np.sort(fates["none lost"].trial.rows["intended_ns"]))
    assert np.allclose(gaps_ns, 5e6)


def test_a_signal_that_came_too_late_is_told_and_repeated(fates: dict[str, Fate]) -> None:
    assert fates["short"].mistimed == "at the signal 4 of 4 tasks were begun, 4 done"
    assert STARTED["short"] == stops.ATTEMPTS == 3
    assert mistimed(fates.values()) == fates["short"].mistimed


def test_it_is_repeated_until_it_counts(fates: dict[str, Fate]) -> None:
    assert not fates["short once"].mistimed
    assert STARTED["short once"] == 2
    assert (fates["short once"].accepted, fates["short once"].lost) == (4, 0)  # of the second


def test_under_load_the_signal_comes_at_its_end_whatever_has_begun(fates: dict[str, Fate]) -> None:
    seen = fates["load"]
    assert not seen.mistimed
    assert len(seen.trial.rows) == seen.accepted == 25
    assert seen.signalled_ns > seen.trial.rows["done_ns"].max()


@pytest.mark.parametrize(
    ("app", "options", "says"),
    [
        ("noting_apps:missing", (), 'Attribute "missing" not found'),
        (APP, ("--no-such-option",), "No such option"),
    ],
)
def test_a_server_that_does_not_start(app: str, options: tuple[str, ...], says: str) -> None:
    with no_leftovers(), pytest.raises(ChildError, match=says):
        stopped(app, "/", TERM, 1, options=options)


@pytest.mark.parametrize(
    ("app", "path", "says"),
    [
        (APP, "/never", r"0 of 2 tasks were begun after 0\.3 s"),
        ("noting_apps:stubborn", "/", r"uvicorn noting_apps:stubborn .* not ended after 0\.6 s"),
    ],
)
def test_what_does_not_come_to_its_end_is_told_and_killed(
    app: str, path: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "BEGIN_S", 0.3)
    monkeypatch.setattr(stops, "END_S", 0.6)
    with no_leftovers(), pytest.raises(TimeoutError, match=says):
        stopped(app, path, TERM, 2)


def test_options_reach_the_server(fates: dict[str, Fate]) -> None:
    assert '"POST / HTTP/1.1" 200' in fates["none lost"].said
    assert "POST" not in stopped(APP, "/", TERM, 1, options=("--no-access-log",)).said
