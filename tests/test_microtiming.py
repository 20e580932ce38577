"""Calls of microseconds: known durations in, known durations out, in a fresh process each round."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest
import timed
from helpers import TESTS, attempts, no_leftovers

from lab_apps.instruments import machine, microtiming, sequential
from lab_apps.instruments.claims import Claim, judge
from lab_apps.instruments.microtiming import Burst, Microtiming, _round

ALIKE = Claim("2.9", "equivalence", "Alike.", "µs", "a", "b", theta=1.3, why_theta="why")
MORE = Claim("2.8", "ratio", "More.", "µs", "a", "b", theta=2.0, why_theta="why")


@pytest.fixture(autouse=True)
def _targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock in ns that only the work moves."""
    now_ns = [0]
    monkeypatch.setattr(time, "perf_counter_ns", lambda: now_ns[0])
    return now_ns


def test_known_durations_on_a_clock_that_only_they_move(clock: list[int]) -> None:
    def moving(durations_us: Iterator[float]) -> Callable[[], None]:
        def work() -> None:
            clock[0] += round(next(durations_us) * 1000)

        return work

    first_is_slow = itertools.chain([1e6], itertools.repeat(2.5))
    long_now_and_then = itertools.chain([1], itertools.cycle([9000, 3000, 3000, 5000, 5000]))
    bursts = _round(
        {
            "constant": (moving, (itertools.repeat(4.0),)),
            "warm-up": (moving, (first_is_slow,)),
            "spread": (moving, (long_now_and_then,)),
        },
        "seed",
    )
    values_us = {arm: median(burst.call_us for burst in its) for arm, its in bursts.items()}
    assert values_us == {"constant": 4, "warm-up": 2.5, "spread": 5000}
    for its in bursts.values():
        assert len(its) == microtiming.BURSTS
        assert all(burst.seconds >= microtiming.BURST_S for burst in its)


def test_arms_take_turns_in_an_order_drawn_for_each(clock: list[int]) -> None:
    said: list[str] = []

    def saying(name: str) -> Callable[[], None]:
        def work() -> None:
            said.append(name)
            clock[0] += 10**9  # a burst by itself

        return work

    _round({name: (saying, (name,)) for name in "abc"}, "seed")
    turns = ["".join(said[at : at + 3]) for at in range(len(said) - 27, len(said), 3)]
    assert {"".join(sorted(turn)) for turn in turns} == {"abc"}
    assert len(set(turns)) > 2


def test_one_burst_that_was_held_up_does_not_count() -> None:
    timing = Fixed([{"a": [*bursts(3)[1:], Burst(1000, 0.0, 0.002)]}])
    timing.complete(1)
    assert timing.values_us("a") == [3]


def check_proportion() -> None:
    with no_leftovers():
        timing = Microtiming(
            {"one": (timed.counting, (200,)), "three": (timed.counting, (600,))}, seed=1
        )
        timing.complete(6)
        ratio, (low, high) = timing.ratio("three", "one")
        assert low <= ratio <= high
        assert 2.4 < ratio < 3.4


def test_work_in_proportion() -> None:
    attempts(check_proportion)


def check_sleep() -> None:
    timing = Microtiming({"sleep": (timed.sleeping, (0.004,))}, seed=1)
    timing.complete(6)
    low, high = timing.interval_us("sleep")
    assert 4000 <= low <= timing.median_us("sleep") <= high
    assert timing.median_us("sleep") < 6000


def test_known_sleep() -> None:
    attempts(check_sleep)


def test_a_process_for_each_round_and_an_order_that_is_drawn(tmp_path: Path) -> None:
    def noted(seed: int) -> list[list[str]]:
        file = tmp_path / f"{seed}"
        file.unlink(missing_ok=True)
        arms = {name: (timed.noting, (str(file), name)) for name in "abc"}
        timing = Microtiming(arms, seed=seed)
        timing.complete(4)
        timing.complete(3)  # there are four
        return [line.split() for line in file.read_text().splitlines()]

    once, again, other = noted(1), noted(1), noted(2)
    assert len({pid for pid, _ in once}) == 4
    order = [name for _, name in once]
    assert order == [name for _, name in again] != [name for _, name in other]
    rounds = [tuple(order[start : start + 3]) for start in range(0, 12, 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 1


def check_verdicts() -> None:
    timing = Microtiming(
        {
            "a": (timed.counting, (400,)),
            "same": (timed.counting, (400,)),
            "five": (timed.counting, (2000,)),
        }
    )
    assert judge(ALIKE, timing.pairs("a", "same")).outcome == "supported"
    rounds = timing.done
    assert judge(MORE, timing.pairs("five", "a")).outcome == "supported"
    assert judge(MORE, timing.pairs("same", "a")).outcome == "refuted"
    assert judge(ALIKE, timing.pairs("five", "a")).outcome == "refuted"
    assert timing.done <= rounds + 2  # kept, so that claims share them


@pytest.mark.skipif(machine.why_no_timing() is not None, reason="needs schedstat")
def test_verdicts_on_equal_and_on_unequal_work() -> None:
    attempts(check_verdicts)


class Fixed(Microtiming):
    """Rounds that are given."""

    def __init__(self, rounds: list[dict[str, list[Burst]]]) -> None:
        super().__init__(dict.fromkeys(rounds[0], (timed.counting, (1,))), seed=0)
        self._given = rounds

    def _run(self, number: int) -> dict[str, list[Burst]]:
        return self._given[number]


def bursts(call_us: float, wait_s: float = 0.0) -> list[Burst]:
    return [Burst(call_us, 0.0, 0.002)] * 8 + [Burst(call_us, wait_s, 0.002)]


def test_a_round_without_a_core_is_disturbed_in_the_arm_it_was() -> None:
    edge_s = microtiming.MAX_WAIT * 9 * 0.002
    waits_s = [(0, 0), (edge_s * 1.01, 0), (0, edge_s * 1.01), (edge_s * 0.99, edge_s * 0.99)]
    timing = Fixed([{"a": bursts(2, a), "b": bursts(1, b)} for a, b in waits_s])
    pairs = list(itertools.islice(timing.pairs("a", "b"), 4))
    assert [tuple(map(bool, pair.disturbed)) for pair in pairs] == [
        (False, False),
        (True, False),
        (False, True),
        (False, False),
    ]
    assert "no core for 20% of the time" in pairs[1].disturbed[0]
    assert [(pair.a, pair.b) for pair in pairs] == [(2, 1)] * 4


def test_medians_and_intervals_are_of_the_rounds() -> None:
    values_us = [5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 7.0]
    timing = Fixed([{"a": bursts(value), "b": bursts(2)} for value in values_us])
    timing.complete(len(values_us))
    interval = sequential.median_interval(values_us)
    assert interval is not None
    assert timing.values_us("a") == values_us
    assert timing.median_us("a") == 4
    assert timing.interval_us("a") == interval == (1, 9)
    assert timing.ratio("a", "b") == (2, (0.5, 4.5))
    assert list(timing.table().loc["a"]) == [4, 1, 9]


def test_errors_say_what_is_missing() -> None:
    with pytest.raises(ValueError, match="no arms"):
        Microtiming({})
    timing = Fixed([{"a": bursts(1)}] * 9)
    with pytest.raises(ValueError, match="no rounds yet"):
        timing.median_us("a")
    with pytest.raises(ValueError, match="no arm 'b': there are 'a'"):
        timing.pairs("a", "b")
    timing.complete(5)
    with pytest.raises(ValueError, match="six rounds, here are 5"):
        timing.interval_us("a")


def test_what_an_arm_raises_is_raised_here_and_nothing_is_left() -> None:
    with no_leftovers():
        timing = Microtiming({"a": (timed.failing, ("no such thing",))})
        with pytest.raises(LookupError, match="no such thing"):
            timing.complete(1)
        assert timing.done == 0
