"""How long a call lasts: the median of exactly these calls, here or in a process of its own."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest
import targets
from helpers import TESTS, needs_proc, no_leftovers, runs
from targets import OwnError

from lab_apps.instruments import timing
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.timing import apart, lasts_ms


@pytest.fixture(autouse=True)
def _targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def test_known_sleep() -> None:
    assert 10 <= lasts_ms(time.sleep, 0.01, calls=7) < 20
    with apart() as apart_ms:
        assert 10 <= apart_ms(time.sleep, 0.01, calls=7) < 20


def check_median(lasts_ms: Callable[..., float], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only the work moves: the median, the first call left out, nothing else."""
    now_ns = 0
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter_ns", lambda: now_ns)
        for durations_ms, middle_ms in [
            ([1000, 3], 3),
            ([1000, 3, 9, 5], 5),
            ([0, 3, 900, 5, 1], 4),
            ([7, 2, 2, 2, 800, 800], 2),
        ]:
            left = list(durations_ms)

            def work(step: int, left: list[int] = left) -> None:
                nonlocal now_ns
                now_ns += left.pop(0) * 1_000_000 * step

            assert lasts_ms(work, 1, calls=len(durations_ms) - 1) == middle_ms
            assert left == []


def test_median_of_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    check_median(lasts_ms, monkeypatch)


@pytest.mark.parametrize("wrong", ["mean", "largest", "first call counts"])
def test_check_sees_another_statistic(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    statistics: dict[str, Callable[[list[int]], float]] = {
        "mean": lambda ns: sum(ns) / len(ns),
        "largest": max,
        "first call counts": lambda ns: median([10**12, *ns]),
    }
    monkeypatch.setattr(timing, "median", statistics[wrong])
    with pytest.raises(AssertionError):
        check_median(lasts_ms, monkeypatch)


# The garbage collector.


def check_collector_rests(lasts_ms: Callable[..., float]) -> None:
    """Off in every call and on again after them, also where a call raises; else untouched."""
    seen: list[bool] = []

    def fails_at_last() -> None:
        seen.append(gc.isenabled())
        if len(seen) == 3:
            raise OwnError

    try:
        lasts_ms(lambda: seen.append(gc.isenabled()), calls=3, collector=False)
        assert seen == [False] * 4
        assert gc.isenabled()
        seen.clear()
        with pytest.raises(OwnError):
            lasts_ms(fails_at_last, calls=3, collector=False)
        assert seen == [False] * 3
        assert gc.isenabled()
        seen.clear()
        lasts_ms(lambda: seen.append(gc.isenabled()), calls=3)
        assert seen == [True] * 4
    finally:
        gc.enable()


def test_collector_rests() -> None:
    check_collector_rests(lasts_ms)


@contextlib.contextmanager
def off_for_good() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("broken", [contextlib.nullcontext, off_for_good])
def test_check_sees_a_collector_that_goes_on(
    broken: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "_no_collector", broken)
    with pytest.raises(AssertionError):
        check_collector_rests(lasts_ms)


# A process of its own.


@needs_proc
def test_apart_is_another_process_that_ends_with_the_block(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with no_leftovers(), apart() as apart_ms:
        assert apart_ms(targets.note, str(notes), calls=2) > 0
        apart_ms(targets.note, str(notes), calls=1, collector=False)
        said = [line.split() for line in notes.read_text().splitlines()]
        assert len({pid for pid, _ in said}) == 1
        assert [collector for _, collector in said] == ["True"] * 3 + ["False"] * 2
        pid = int(said[0][0])
        assert pid != os.getpid()
        assert runs(pid)
    assert not runs(pid)


@needs_proc
def test_lasts_here(tmp_path: Path) -> None:
    """The unbroken counterpart: without `apart` it is this process."""
    lasts_ms(targets.note, str(tmp_path / "notes"), calls=1)
    assert (tmp_path / "notes").read_text() == f"{os.getpid()} True\n" * 2


@needs_proc
def test_failure_apart_reaches_us_and_leaves_nothing() -> None:
    with no_leftovers():
        with pytest.raises(OwnError, match="mine"), apart() as apart_ms:
            apart_ms(targets.fail, "mine")
        with pytest.raises(ChildError, match="ended"), apart() as apart_ms:
            apart_ms(targets.die, 3)
        with apart():  # nothing asked
            pass
