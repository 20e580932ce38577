"""Requests one after another: their answers, what their tasks noted, and a server that must end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
from helpers import TESTS, needs_proc, no_leftovers

from lab_apps.instruments import aftermath as module
from lab_apps.instruments.aftermath import SETTLE, SETTLE_S, Aftermath, aftermath
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.ledger import Event

pytestmark = needs_proc
APP = "noting_apps:app"
RUNS = {
    "answers": partial(aftermath, APP, ["POST /", "GET /404", "GET /two", "POST /404", "GET /"]),
    "settles": partial(aftermath, APP, ["POST /ticks", SETTLE, "GET /"]),
    "at once": partial(aftermath, APP, ["POST /ticks"]),
    "stubborn": partial(aftermath, "noting_apps:stubborn", ["POST /"], end_s=0.6),
    "silent": partial(aftermath, APP, ["POST /"], options=("--no-access-log",)),
    "lost": partial(aftermath, APP, ["POST /short"], env={"LOSE": "1"}),
}


@pytest.fixture(scope="module", autouse=True)
def runs() -> Iterator[dict[str, Aftermath]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        with no_leftovers():
            with ThreadPoolExecutor(len(RUNS)) as pool:
                running = {name: pool.submit(run) for name, run in RUNS.items()}
            yield {name: one.result() for name, one in running.items()}


def seen(*notes: tuple[str, str], said: str = "") -> Aftermath:
    events = [Event(at, 7, "MainThread", *one) for at, one in enumerate(notes)]
    return Aftermath([], events, -15, 0.0, said)


def test_notes_are_counted_by_letter() -> None:
    notes = [("7-1", "accepted"), ("7-1a", "begun"), ("7-1b", "begun"), ("7-12a", "begun")]
    others = [("queue-3", "done"), ("job 7-3", "done"), ("7-3 once more", "done")]
    one = seen(*notes, ("7-1b", "done"), *others, ("7-2", "accepted"))
    assert one.notes == {
        "": {"accepted": 2},
        "a": {"begun": 2},
        "b": {"begun": 1, "done": 1},
    }
    assert one.noted("begun", "a") == 2
    assert one.noted("accepted") == 2
    assert one.noted("begun") == one.noted("done", "a") == one.noted("done", "c") == 0


def test_what_was_printed_is_counted() -> None:
    one = seen(said="an error\nan Error\n2 errors\n")
    assert (one.printed("error"), one.printed("(?i)error"), one.printed("^an")) == (2, 3, 1)


def test_each_request_has_its_answer_in_order(runs: dict[str, Aftermath]) -> None:
    one = runs["answers"]
    assert one.statuses == [200, 404, 200, 404, 200]
    assert one.notes == {
        "": {"accepted": 3, "begun": 3},
        "a": {"begun": 1},
        "b": {"begun": 1, "ended": 1},
    }
    assert [event.task.partition("-")[2] for event in one.events if event.what == "accepted"] == [
        *"123"
    ]
    assert one.status == -15


def test_each_request_has_a_connection_of_its_own(runs: dict[str, Aftermath]) -> None:
    ports = [line.split()[1] for line in runs["answers"].said.splitlines() if "HTTP/1.1" in line]
    assert len(set(ports)) == len(ports) == 5


def test_events_are_those_before_the_stop(runs: dict[str, Aftermath]) -> None:
    """The app notes the rest when it is told to stop: that is not what the requests led to."""
    assert all(one.noted("done") == 0 for name, one in runs.items() if name != "lost")
    assert runs["lost"].noted("done") == 1
    assert not any(one.printed("Shutting down") for one in runs.values())


def test_settle_waits_for_what_is_still_noted(runs: dict[str, Aftermath]) -> None:
    assert runs["settles"].noted("tick") == 4
    assert runs["at once"].noted("tick") < 4
    events = {event.what: event.at_ns for event in runs["settles"].events}  # the last of each
    assert events["accepted"] - events["tick"] >= SETTLE_S * 1e9  # that of the next request


def test_a_server_that_does_not_end_is_killed_and_told(runs: dict[str, Aftermath]) -> None:
    one = runs["stubborn"]
    assert one.status is None
    assert one.stop_s >= 0.6
    assert one.statuses == [200]
    assert {event.pid for event in one.events} != {os.getpid()}
    assert all(other.status == -15 for name, other in runs.items() if name != "stubborn")


def test_options_reach_the_server(runs: dict[str, Aftermath]) -> None:
    assert runs["silent"].printed("POST") == 0
    assert runs["lost"].printed("POST /short HTTP/1.1") == 1


def test_what_goes_on_for_ever_does_not_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED_S", 1.2)
    with no_leftovers(), pytest.raises(TimeoutError, match=r"still note things after 1\.2 s"):
        aftermath(APP, ["POST /forever", SETTLE])


def test_a_server_that_does_not_start() -> None:
    with no_leftovers(), pytest.raises(ChildError, match='Attribute "missing" not found'):
        aftermath("noting_apps:missing", ["GET /"])


def test_a_request_without_an_answer_leaves_no_server() -> None:
    with no_leftovers(), pytest.raises(httpx.HTTPError):
        aftermath("noting_apps:mute", ["GET /", "GET /mute"])
