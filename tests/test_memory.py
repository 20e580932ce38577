"""Peak memory: known allocations on a server's own threads, seen by both methods every time."""

from __future__ import annotations

import math
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import apps
import httpx
import numpy as np
import pytest
from helpers import TESTS, attempts, no_leftovers
from targets import OwnError, fail

from lab_apps.instruments import load, memory
from lab_apps.instruments.child import Child
from lab_apps.instruments.memory import Peak, peak, peaks, slope
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Server, serve
from lab_apps.instruments.wire import Stream
from lab_apps.instruments.workers import serve_workers

WHY_NOT = memory.why_no_high_water()
REPEATS = 6

needs_high_water = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture(autouse=True)
def _apps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@pytest.fixture
def one() -> Iterator[Server]:
    with serve("apps:hungry", where="process") as server:
        yield server


def measured(server: Server, path: str, repeats: int = REPEATS) -> Peak:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        return peaks(server, lambda: client.get(path).raise_for_status(), repeats)


def check_sizes(server: Server, route: str, *sizes_mib: int) -> None:
    """Every repeat is within 0.5 MiB or 2% of what was allocated, by both methods."""
    for mib in sizes_mib:
        seen = measured(server, f"{route}/{mib}")
        assert len(seen.traced_mib) == len(seen.high_water_mib) == REPEATS
        expected = pytest.approx(mib, abs=0.5, rel=0.02)
        assert all(peak_mib == expected for peak_mib in seen.traced_mib), seen
        assert WHY_NOT or all(peak_mib == expected for peak_mib in seen.high_water_mib), seen
        assert not seen.disagree
        assert seen.note == WHY_NOT


@pytest.mark.parametrize("where", ["thread", "process"])
@pytest.mark.parametrize("route", ["/fill", "/fill-def"])
def test_every_repeat_is_seen(where: str, route: str) -> None:
    """In a thread all that this process does meanwhile counts: then it may be tried again."""
    with serve("apps:hungry", where=where) as server:  # type: ignore[arg-type]
        attempts(check_sizes, server, route, 4, 64, 1, 16, most=3 if where == "thread" else 1)


@pytest.mark.parametrize(
    ("where", "route"),
    [
        ("thread", "/fill"),
        ("process", "/fill"),
        pytest.param("thread", "/fill-def", marks=pytest.mark.long),
        pytest.param("process", "/fill-def", marks=pytest.mark.long),
    ],
)
def test_large_allocations(where: str, route: str) -> None:
    with serve("apps:hungry", where=where) as server:  # type: ignore[arg-type]
        check_sizes(server, route, 256)


@needs_high_water
@pytest.mark.parametrize("route", ["/fill", "/fill-def"])
def test_check_sees_an_allocator_left_as_it_is(one: Server, route: str) -> None:
    """From the third on, repeats are missed whole."""
    with httpx.Client(base_url=one.url, timeout=30) as client:
        fill = lambda: client.get(f"{route}/16").raise_for_status()  # noqa: E731
        seen = [peak(one, fill, method="high water", allocator=False) for _ in range(REPEATS)]
        assert max(seen[2:]) < 1
        assert min(peak(one, fill, method="traced") for _ in range(2)) > 15


@needs_high_water
def test_first_repeat_after_other_work(one: Server) -> None:
    """What a thread has free from before is no part of it."""
    for mib in (1, 16, 30, 1):
        httpx.get(f"{one.url}/fill/{mib}", timeout=30)
    check_sizes(one, "/fill", 1)


@needs_high_water
def test_room_amid_small_objects(one: Server) -> None:
    """A large allocation that fits into what is free and resident is seen all the same."""
    one.inside(memory.set_allocator)
    httpx.get(f"{one.url}/leave-room/8").raise_for_status()
    check_sizes(one, "/fill", 4)


def test_small_objects(one: Server) -> None:
    """Within 7% by both; what is traced repeats within 1%."""
    mib = httpx.get(f"{one.url}/small?count=200000", timeout=30).json() / 2**20
    seen = measured(one, "/small?count=200000", 3)
    assert seen.traced_mib == pytest.approx((mib,) * 3, rel=0.07)
    assert max(seen.traced_mib) < 1.01 * min(seen.traced_mib)
    assert WHY_NOT or seen.high_water_mib == pytest.approx((mib,) * 3, rel=0.07)


@needs_high_water
def test_what_a_c_library_allocates(one: Server) -> None:
    seen = measured(one, "/malloc/32")
    assert seen.high_water_mib == pytest.approx((32,) * REPEATS, rel=0.02)
    assert max(seen.traced_mib) < 0.5
    assert seen.disagree
    assert "a C library allocates" in seen.note


@needs_high_water
def test_what_is_never_touched(one: Server) -> None:
    seen = measured(one, "/untouched/32")
    assert max(seen.high_water_mib) < 0.5
    assert seen.traced_mib == pytest.approx((32,) * REPEATS, rel=0.02)
    assert seen.disagree
    assert "touched" in seen.note


@pytest.mark.parametrize(
    ("traced_mib", "high_water_mib", "disagree"),
    [
        ((10, 10, 10), (12.4, 12.4, 99), False),  # a median, so one repeat does not decide
        ((10, 10, 10), (12.6, 12.6, 12.6), True),
        ((10, 10, 10), (7.6, 7.6, 7.6), False),
        ((10, 10, 10), (7.4, 7.4, 7.4), True),
        ((0, 0, 0), (0.9, 0.9, 0.9), False),
        ((10, 10, 10), (math.nan, math.nan, math.nan), False),
    ],
)
def test_when_two_methods_disagree(
    traced_mib: tuple[float, ...], high_water_mib: tuple[float, ...], disagree: bool
) -> None:
    """Beyond 15% and 1 MiB."""
    seen = Peak(traced_mib, high_water_mib)
    assert seen.disagree is disagree
    assert bool(seen.note) is disagree


# Where there is no high-water mark.

Lack: TypeAlias = Callable[[pytest.MonkeyPatch, Path], None]


def nothing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(memory, "SELF", folder)


def unwritable(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "clear_refs").mkdir()
    monkeypatch.setattr(memory, "SELF", folder)


def no_glibc(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "clear_refs").touch()
    monkeypatch.setattr(memory, "SELF", folder)
    monkeypatch.setattr(memory, "_glibc", lambda: None)


@pytest.mark.parametrize(
    ("lack", "says"), [(nothing, "clear_refs"), (unwritable, "clear_refs"), (no_glibc, "glibc")]
)
def test_no_high_water(
    lack: Lack, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The reason is given, the other method still works."""
    lack(monkeypatch, tmp_path)
    assert says in memory.why_no_high_water()
    assert memory.set_allocator() is (lack is not no_glibc and not WHY_NOT)
    with pytest.raises(RuntimeError, match=says):
        memory.begin("high water")
    with serve(apps.hungry) as server:
        seen = measured(server, "/fill/4", 2)
    assert all(math.isnan(mib) for mib in seen.high_water_mib)
    assert seen.traced_mib == pytest.approx((4, 4), abs=0.5)
    assert not seen.disagree
    assert says in seen.note


# A pass ends.


def test_tracing_ends_with_the_pass() -> None:
    with serve(apps.hungry) as server:
        assert peak(server, tracemalloc.is_tracing, method="traced") < 0.5
        assert not tracemalloc.is_tracing()
        with pytest.raises(OwnError):
            peak(server, lambda: fail("in the request"), method="traced")
        assert not tracemalloc.is_tracing()


@needs_high_water
def test_a_pass_takes_the_place_of_another() -> None:
    """In a process of its own: this one touches again what its first pass made it give back."""
    child = Child("targets:second_pass_mib")
    try:
        assert child.call(4) == pytest.approx(4, abs=0.5)
        assert child.call(4) == pytest.approx(4, abs=0.5)
    finally:
        child.close()


def test_wrong_use() -> None:
    with pytest.raises(ValueError, match="not 'rss'"):
        memory.begin("rss")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="begin"):
        memory.peak_mib()


# Inside a server's process; more of it in test_process.py.


def test_inside_a_thread() -> None:
    with serve(apps.bare) as server:
        assert server.inside(os.getpid) == os.getpid()
        assert server.inside(divmod, 7, 2) == (3, 1)
        with pytest.raises(OwnError, match="no"):
            server.inside(fail, "no")


def test_inside_workers() -> None:
    with (
        no_leftovers(),
        serve_workers("apps:bare", 1) as server,
        pytest.raises(ValueError, match="several processes"),
    ):
        peak(server, fail, method="traced")  # type: ignore[arg-type]


# Requests in flight.


def test_slope_of_a_line() -> None:
    found = slope({1: 5.5, 4: 10.0, 16: 28.0})
    assert (found.mib_each, found.base_mib, found.r2) == pytest.approx((1.5, 4, 1))
    bent = {1: 1.0, 2: 3.0, 3: 2.0}
    assert slope(bent).r2 == pytest.approx(np.corrcoef(list(bent), list(bent.values()))[0, 1] ** 2)
    flat = slope({1: 3, 2: 3, 4: 3})
    assert (flat.mib_each, flat.base_mib) == pytest.approx((0, 3))
    assert math.isnan(flat.r2)
    with pytest.raises(ValueError, match="three points"):
        slope({1: 1, 2: 2})


@pytest.mark.parametrize("method", ["traced", pytest.param("high water", marks=needs_high_water)])
def test_requests_in_flight(one: Server, method: memory.Method) -> None:
    one.inside(memory.set_allocator)
    points = {}
    for count in (1, 4, 16):
        path = f"/together?mib=4&crowd={count}"
        crowd = Stream("crowd", path, closed(count, requests=count), str(4 * memory.MIB).encode())

        def request(crowd: Stream = crowd) -> None:
            assert load.send(one.url, crowd, warm_up=0).errors == {}

        request()
        points[count] = peak(one, request, method=method)
    found = slope(points)
    assert found.mib_each == pytest.approx(4, rel=0.05)
    assert abs(found.base_mib) < 0.5
    assert found.r2 > 0.98
