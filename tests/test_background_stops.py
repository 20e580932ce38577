"""Tasks lost when a real server is stopped, by the way they were started and by the stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pytest
from helpers import needs_proc, no_leftovers

from lab_apps.instruments import stops
from lab_apps.instruments.hog import hog
from lab_apps.instruments.stops import Fate, Stop, stopped

pytestmark = needs_proc
APP = "lab_apps.practices.background_tasks:app"
BOUNDED = "lab_apps.practices.background_tasks.application:bounded_app"
SIGTERM, SHORT, SIGKILL = Stop("SIGTERM"), Stop("SIGTERM", 1), Stop("SIGKILL")
WORK_S = {SIGTERM: 1.0, SHORT: 3.0, SIGKILL: 1.0}
TASKS = 20
ALL, NONE = True, False

LOST = {
    "background": {SIGTERM: NONE, SHORT: ALL, SIGKILL: ALL},
    "naive": {SIGTERM: ALL, SHORT: ALL, SIGKILL: ALL},
    "group": {SIGTERM: NONE, SHORT: NONE, SIGKILL: ALL},
}
Run = Callable[[], Fate]
Table = Mapping[tuple[str, Stop], Fate]


def table(kind: str, tasks: int) -> dict[tuple[str, Stop], Run]:
    """Experiments by way and stop."""
    return {
        (way, stop): partial(stopped, APP, f"/{way}/{kind}?seconds={WORK_S[stop]}", stop, tasks)
        for way, row in LOST.items()
        for stop in row
    }


def check(fates: Table, tasks: int) -> None:
    """Assert the table of what was lost."""
    for (way, stop), seen in fates.items():
        assert not seen.mistimed, (way, stop)
        assert not seen.trial.errors, (way, stop)
        counts = (seen.accepted, len(seen.tasks("begun")), seen.lost, seen.doubled)
        assert counts == (tasks, tasks, tasks if LOST[way][stop] else 0, 0), (way, stop)
        assert seen.status == (-9 if stop == SIGKILL else -15), (way, stop)


def mislabelled(stop: Stop) -> dict[str, Run]:
    """One task that holds the event loop while the signal comes."""
    path = f"mislabelled?seconds={WORK_S[stop]}"
    return {f"{way}, {stop}": partial(stopped, APP, f"/{way}/{path}", stop, 1) for way in LOST}


def bounded(path: str, tasks: int) -> Run:
    return partial(stopped, BOUNDED, path, SIGTERM, tasks)


OTHERS: dict[str, Run] = {
    **mislabelled(SHORT),
    **mislabelled(SIGKILL),
    "bounded awaiting": bounded("/group/awaiting?seconds=4", 10),
    "bounded blocking": bounded("/group/blocking?seconds=4", 10),
    "bounded computing": bounded("/group/computing?seconds=4", 1),
    "bounded mislabelled": bounded("/group/mislabelled?seconds=3", 1),
    "bounded, but not in the group": bounded("/background/awaiting?seconds=3", 10),
    "bounded, but soon done": bounded("/group/awaiting?seconds=0.9", 5),
    "SIGINT": partial(stopped, APP, "/group/awaiting?seconds=1", Stop("SIGINT"), 10),
    "SIGINT naive": partial(stopped, APP, "/naive/awaiting?seconds=1", Stop("SIGINT"), 10),
}


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> Iterator[None]:
    with no_leftovers():
        yield


@pytest.fixture(scope="module")
def fates() -> dict[object, Fate]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stops, "AT_ONCE", 8)
        return stops.each("stops", {**table("awaiting", TASKS), **OTHERS})


@pytest.mark.parametrize("way", LOST)
@pytest.mark.parametrize("stop", WORK_S, ids=str)
def test_lost_by_way_and_stop(fates: dict[object, Fate], way: str, stop: Stop) -> None:
    check({(way, stop): fates[way, stop]}, TASKS)


def test_what_a_stop_waits_for(fates: dict[object, Fate]) -> None:
    """For the work that it saves, and for no more of it than the time of grace that it has."""
    for way in ("background", "group"):
        seen = fates[way, SIGTERM]
        assert seen.stop_s >= max(seen.left_s(WORK_S[SIGTERM]))
    assert fates["naive", SIGTERM].stop_s < min(fates["naive", SIGTERM].left_s(WORK_S[SIGTERM]))
    assert 1 <= fates["background", SHORT].stop_s < fates["group", SHORT].stop_s
    assert fates["group", SHORT].stop_s >= max(fates["group", SHORT].left_s(WORK_S[SHORT]))
    for way in LOST:
        assert fates[way, SIGKILL].stop_s < min(fates[way, SIGTERM].stop_s, 1)


@pytest.mark.parametrize("way", LOST)
def test_a_task_that_holds_the_loop_keeps_the_signal_waiting(
    fates: dict[object, Fate], way: str
) -> None:
    held, killed = fates[f"{way}, {SHORT}"], fates[f"{way}, {SIGKILL}"]
    assert not held.mistimed
    assert (held.accepted, held.lost, held.status) == (1, 0, -15)
    assert held.stop_s >= max(held.left_s(WORK_S[SHORT]))  # whatever the time of grace
    assert (killed.accepted, killed.lost, killed.status) == (1, 1, -9)


@pytest.mark.parametrize(("kind", "tasks"), [("awaiting", 10), ("blocking", 10), ("computing", 1)])
def test_a_bounded_group_stops_in_time(fates: dict[object, Fate], kind: str, tasks: int) -> None:
    seen = fates[f"bounded {kind}"]
    assert not seen.mistimed
    assert (seen.accepted, seen.lost, seen.status) == (tasks, tasks, -15)
    assert 1 <= seen.stop_s < 2.5 < min(seen.left_s(4))
    assert "TimeoutError" in seen.said  # the price: the stop ends with an error in the log


def test_a_bounded_group_loses_nothing_that_is_done_in_time(fates: dict[object, Fate]) -> None:
    seen = fates["bounded, but soon done"]
    assert (seen.accepted, seen.lost, seen.status) == (5, 0, -15)
    assert "TimeoutError" not in seen.said


@pytest.mark.parametrize(
    ("name", "tasks"), [("bounded mislabelled", 1), ("bounded, but not in the group", 10)]
)
def test_what_a_bounded_group_does_not_bound(
    fates: dict[object, Fate], name: str, tasks: int
) -> None:
    """What holds the event loop, and what is none of its tasks."""
    seen = fates[name]
    assert (seen.accepted, seen.lost) == (tasks, 0)
    assert seen.stop_s >= max(seen.left_s(3)) > 1


def test_an_interrupt_is_a_stop_like_another(fates: dict[object, Fate]) -> None:
    group, naive = fates["SIGINT"], fates["SIGINT naive"]
    assert (group.accepted, group.lost, group.status) == (10, 0, 0)
    assert (naive.accepted, naive.lost, naive.status) == (10, 10, 0)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["awaiting", "blocking"])
@pytest.mark.parametrize("run", range(10))
def test_the_table_is_the_same_each_time(kind: str, run: int) -> None:
    check(stops.each(f"{kind} {run}", table(kind, TASKS)), TASKS)


@pytest.mark.long
def test_the_table_is_the_same_with_fifty_tasks() -> None:
    check(stops.each("fifty", table("awaiting", 50)), 50)


@pytest.mark.long
@pytest.mark.parametrize("run", range(3))
def test_the_table_is_the_same_beside_a_hog(run: int) -> None:
    with hog() as switch:
        switch(True)
        check(stops.each(f"hog {run}", table("awaiting", TASKS)), TASKS)
