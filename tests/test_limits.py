"""The table of the sequential sign test: its error is what is promised, its decisions follow it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from lab_apps.instruments import sequential
from lab_apps.instruments.sequential import (
    ALPHA,
    MAX_ROUNDS,
    decide,
    error,
    limits,
    median_interval,
)

# Found by another program before this one was written, alpha = 0.005 a side. It starts a round
# later than it could.
BEFORE = (
    "11:0 12:0 13:0 14:1 15:1 16:1 17:1 18:2 19:2 20:3 21:3 22:3 23:3 24:4 25:4 26:5 27:5 28:5 29:6"
    " 30:6 31:6 32:7 33:7 34:8 35:8 36:8 37:9 38:9 39:10 40:10"
)
TABLES = {
    "the lab's": limits(),
    "for 16 rounds": limits(ALPHA, 16),
    "at 5%": limits(0.05, 16),
    "every round": (0,) * 16,
    "odd": (-1, -1, 0, 0, 1, 1, 2, 2, 2, 3, 4, 4, 5, 5, 6, 6),
    "none": (-1,) * 16,
}


def by_enumeration(table: tuple[int, ...]) -> float:
    """Share of all 2^n sequences of fair coins that ever show a minority within the table."""
    n = len(table)
    flips = np.arange(2**n)[:, None] >> np.arange(n) & 1
    return float(np.mean((np.cumsum(flips, axis=1) <= table).any(axis=1)))


def check_error(find: Callable[[tuple[int, ...]], float]) -> None:
    for table in TABLES.values():
        for n in range(1, 17):
            assert find(table[:n]) == pytest.approx(by_enumeration(table[:n]), rel=1e-12, abs=0)


def check_table(table: tuple[int, ...], alpha: float) -> None:
    """Rising by at most one a round, and within the error it promises."""
    assert all(later - earlier in (0, 1) for earlier, later in itertools.pairwise(table))
    assert error(table) <= alpha


def test_error_is_exact() -> None:
    check_error(error)


def test_check_sees_an_error_found_look_by_look() -> None:
    """As if the probability of stopping now were not conditional on not having stopped."""

    def naive(table: tuple[int, ...]) -> float:
        return max(sequential.tail(limit, n) for n, limit in enumerate(table, 1))

    with pytest.raises(AssertionError):
        check_error(naive)


@pytest.mark.parametrize("alpha", [0.05, 0.01, ALPHA, 0.001])
@pytest.mark.parametrize("rounds", [16, MAX_ROUNDS, 60])
def test_table_keeps_its_promise(alpha: float, rounds: int) -> None:
    table = limits(alpha, rounds)
    assert len(table) == rounds
    check_table(table, alpha)
    assert error(table) > alpha / 3  # and does not throw away much of it


def test_check_sees_a_table_that_stops_too_early() -> None:
    table = list(limits())
    table[8] = 0  # the round in which a fixed number of rounds would decide: 2^-9 < 0.005
    table[9] = 0
    with pytest.raises(AssertionError):
        check_table(tuple(table), ALPHA)


def table_before() -> tuple[int, ...]:
    pairs = {int(n): int(limit) for n, limit in (pair.split(":") for pair in BEFORE.split())}
    return tuple(pairs.get(n, -1) for n in range(1, 41))


def test_error_of_a_table_found_elsewhere() -> None:
    assert round(error(table_before()), 4) == 0.0047
    assert round(error(table_before()[:16]), 8) == 0.00115967


def test_limits() -> None:
    assert MAX_ROUNDS == 40
    assert ALPHA == 0.005
    assert limits()[:14] == (-1,) * 9 + (0, 0, 0, 0, 1)
    assert limits()[39] == 10
    assert error(limits()) == pytest.approx(0.004962, abs=1e-6)


@pytest.mark.parametrize(("alpha", "rounds"), [(ALPHA, MAX_ROUNDS), (0.01, 20)])
def test_no_higher_level_keeps_the_promise(alpha: float, rounds: int) -> None:
    chosen = limits(alpha, rounds)
    levels = {sequential.tail(c, n) for n in range(1, rounds + 1) for c in range(n // 2 + 1)}
    for level in levels:
        table = tuple(sequential._largest_count(n, level) for n in range(1, rounds + 1))
        more = any(a > b for a, b in zip(table, chosen, strict=True))
        assert (error(table) > alpha) == more


def test_rounds_that_can_decide_nothing() -> None:
    with pytest.raises(ValueError, match="5 rounds"):
        limits(ALPHA, 5)


# Signs.


@pytest.mark.parametrize(
    ("signs", "side"),
    [
        ([], None),
        ([1] * 9, None),
        ([1] * 10, "above"),
        ([-1] * 10, "below"),
        ([1] * 10 + [-1], None),
        ([1] * 13 + [-1], "above"),
        ([-1] * 13 + [1], "below"),
        ([0] * 40, None),  # a tie counts against either side
        ([1] * 10 + [0], None),
        ([1] * 13 + [0], "above"),
        ([-1] * 13 + [0], "below"),
        ([1] * 12 + [0, -1], None),
        ([1] * 30 + [-1] * 10, "above"),
        ([1] * 29 + [-1] * 11, None),
        ([1, -1] * 20, None),
        ([1] * 41, None),  # beyond the table nothing is decided any more
    ],
)
def test_decide(signs: list[int], side: str | None) -> None:
    assert decide(signs) == side
    assert decide([-sign for sign in signs]) == {"above": "below", "below": "above"}.get(side or "")


def test_decide_takes_any_table() -> None:
    assert decide([1], (0,)) == "above"
    assert decide([1], (-1,)) is None
    assert decide([-1, 1, -1], (-1, -1, 1)) == "below"


# The interval shown beside a verdict.


def test_median_interval_covers() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for sample in rng.exponential(size=(2000, 15)):
        interval = median_interval(list(sample))
        assert interval is not None
        inside += interval[0] <= math.log(2) <= interval[1]
    assert inside / 2000 == pytest.approx(1 - 2 * sequential.tail(3, 15), abs=0.015)


def test_median_interval_of_known_samples() -> None:
    assert median_interval([1.0, 2, 3, 4, 5]) is None  # 1 - 2/32 is less than 95%
    assert median_interval([6.0, 5, 4, 3, 2, 1]) == (1, 6)
    assert median_interval([float(value) for value in range(1, 12)]) == (2, 10)
    assert median_interval([]) is None
    assert median_interval([1.0]) is None
