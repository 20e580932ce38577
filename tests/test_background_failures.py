"""What becomes of a task that fails, of its neighbours, and of one that nobody refers to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from helpers import TESTS, needs_proc, no_leftovers

from lab_apps.instruments.aftermath import SETTLE, Aftermath, aftermath

pytestmark = needs_proc
APP = "lab_apps.practices.background_tasks:app"
RESOURCEFUL = "resource_app:app"
WAYS = ("background", "naive", "group", "guarded")
LATER = ["GET /victim", "POST /background/awaiting?seconds=0.1", SETTLE]
ORPHANS = 10
HANDLERS = [
    *(f"POST /refused/{way}" for way in WAYS),
    "POST /refused-by-return",
    "POST /own-background",
    "POST /own-background-added",
]


def orphans(path: str) -> list[str]:
    return [*[f"POST {path}"] * ORPHANS, "POST /collect", SETTLE]


RUNS = {
    **{
        f"two {way}": partial(
            aftermath, APP, [f"POST /two/{way}", SETTLE, *[f"POST /two/{way}"] * 4, SETTLE, *LATER]
        )
        for way in WAYS
    },
    **{
        f"orphan {way}": partial(aftermath, APP, orphans(f"/orphan/{way}"), end_s=1)
        for way in WAYS[:3]
    },
    "asleep": partial(aftermath, APP, orphans("/naive/awaiting?seconds=1")),
    "alone": partial(aftermath, APP, [*orphans("/orphan/naive")[:ORPHANS], SETTLE]),
    "handlers": partial(aftermath, APP, [*HANDLERS, SETTLE]),
    **{
        f"resource {way}": partial(
            aftermath,
            RESOURCEFUL,
            ["GET /resource", f"POST /two/{way}", SETTLE, "GET /resource", "GET /victim"],
        )
        for way in ("group", "guarded")
    },
}


@pytest.fixture(scope="module", autouse=True)
def runs() -> Iterator[dict[str, Aftermath]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        with no_leftovers():
            with ThreadPoolExecutor(8) as pool:
                running = {name: pool.submit(run) for name, run in RUNS.items()}
            yield {name: one.result() for name, one in running.items()}


# Two tasks, of which the first fails: of the one before it and of what comes after


BOTH = {"begun": 5}
LAST = {"begun": 1, "done": 1}  # that of `LATER`


@pytest.mark.parametrize(
    ("way", "first", "second"),
    [
        ("background", BOTH, None),
        ("naive", BOTH, {"begun": 5, "done": 5}),
        ("group", {"begun": 1}, {"begun": 1}),
        ("guarded", BOTH, {"begun": 5, "done": 5}),
    ],
)
def test_the_second_task_when_the_first_fails(
    runs: dict[str, Aftermath], way: str, first: dict[str, int], second: dict[str, int] | None
) -> None:
    seen = runs[f"two {way}"]
    tasks = {"": {"accepted": 6, **LAST}, "a": first}
    assert seen.notes == (tasks if second is None else {**tasks, "b": second})
    assert seen.status == -15


def test_a_failed_group_accepts_no_more_and_the_server_goes_on(runs: dict[str, Aftermath]) -> None:
    statuses = {way: runs[f"two {way}"].statuses for way in WAYS}
    assert statuses.pop("group") == [200, 500, 500, 500, 500, 200, 200]
    assert all(answers == [200] * 7 for answers in statuses.values())


def test_who_is_told_of_the_failure(runs: dict[str, Aftermath]) -> None:
    logs = {
        "background": r"Exception in ASGI application",
        "naive": r"Task exception was never retrieved",
        "guarded": r"a task of the group has failed",
    }
    for way in ("background", "naive", "guarded"):
        seen = runs[f"two {way}"]
        assert [name for name in logs if seen.printed(logs[name])] == [way]
        assert seen.printed(logs[way]) == seen.printed(r"RuntimeError: \d+-\da has failed") == 5
    group = runs["two group"]
    assert group.printed(r"RuntimeError: \d+-1a has failed") == 1  # the lifespan's error
    assert group.printed(r"RuntimeError: TaskGroup .* is finished") == 4  # those after it
    assert group.printed("Application shutdown") == 0  # the server runs on


# What a lifespan holds around the group


@pytest.mark.parametrize("way", ["group", "guarded"])
def test_only_an_unguarded_failure_in_the_group_closes_what_the_lifespan_holds(
    runs: dict[str, Aftermath], way: str
) -> None:
    seen = runs[f"resource {way}"]
    closed = [event.task for event in seen.events if event.what == "closed"]
    assert closed == (["resource"] if way == "group" else [])
    assert seen.statuses == [200, 200, 503 if way == "group" else 200, 200]


# Handlers that don't answer as usual


def test_a_handler_that_raises_or_answers_itself(runs: dict[str, Aftermath]) -> None:
    seen = runs["handlers"]
    assert seen.statuses == [409] * 4 + [500, 200, 200]
    noted: dict[str, list[str]] = {}
    for event in seen.events:
        noted.setdefault(event.task.partition("-")[2], []).append(event.what)
    ran = ["begun", "done"]
    assert noted == {
        "1": ["accepted"],  # BackgroundTasks: dropped with the response they were to follow
        "2": ["accepted", *ran],
        "3": ["accepted", *ran],
        "4": ["accepted", *ran],
        "5": ["accepted", *ran],  # a returned error is a response like any other
        "6": ["accepted"],
        "6b": ran,  # the response's own; the request's "6a" is dropped
        "7": ["accepted"],
        "7a": ran,
        "7b": ran,
    }


# Tasks that nobody refers to


@pytest.mark.parametrize("way", ["background", "group"])
def test_what_holds_on_to_a_task_keeps_it_and_the_stop_waits_for_it(
    runs: dict[str, Aftermath], way: str
) -> None:
    seen = runs[f"orphan {way}"]
    assert seen.notes == {"": {"accepted": ORPHANS, "begun": ORPHANS}}
    assert seen.printed("Task was destroyed but it is pending") == 0
    assert seen.status is None  # it never ended


def test_a_task_that_waits_for_what_nobody_refers_to_is_collected(
    runs: dict[str, Aftermath],
) -> None:
    seen = runs["orphan naive"]
    assert seen.notes == {"": {"accepted": ORPHANS, "begun": ORPHANS, "ended": ORPHANS}}
    assert seen.printed("Task was destroyed but it is pending") == ORPHANS
    assert seen.status == -15


def test_it_is_the_collection_that_ends_it(runs: dict[str, Aftermath]) -> None:
    assert runs["alone"].notes == {"": {"accepted": ORPHANS, "begun": ORPHANS}}


def test_a_sleeping_task_survives_a_collection(runs: dict[str, Aftermath]) -> None:
    """The event loop refers to what sleeps; the collection is over before the first is done."""
    assert runs["asleep"].notes == {"": {"accepted": ORPHANS, "begun": ORPHANS, "done": ORPHANS}}
