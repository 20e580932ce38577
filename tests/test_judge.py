"""Ratio and equivalence claims: verdicts say no more than the rounds allow."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from declared import ALIKE, RATIO, pairs, rounds

from lab_apps.instruments import claims, sequential
from lab_apps.instruments.claims import Claim, Pair, Verdict, judge


def check_judge(judge: Callable[[Claim, Iterable[Pair]], Verdict]) -> None:
    """Which ratios lead to which verdict, and after how many rounds."""
    first = next(n for n, limit in enumerate(sequential.limits(), 1) if limit == 0)
    for claim, ratio, outcome in [
        (RATIO, 4, "supported"),
        (RATIO, 2.001, "supported"),
        (RATIO, 1.999, "refuted"),
        (RATIO, 0.1, "refuted"),
        (ALIKE, 1, "supported"),
        (ALIKE, 1.999, "supported"),
        (ALIKE, 0.501, "supported"),
        (ALIKE, 2.001, "refuted"),
        (ALIKE, 0.499, "refuted"),
        (ALIKE, 100, "refuted"),
        (ALIKE, 0.01, "refuted"),
    ]:
        verdict = judge(claim, rounds(ratio))
        assert (verdict.outcome, verdict.rounds) == (outcome, first), (claim.kind, ratio)
        assert verdict.ratio == ratio
        assert verdict.interval == (ratio, ratio)
        assert verdict.pairs == ((ratio, 1.0),) * first
        assert verdict.theta == 2
        assert verdict.rejected == 0
        assert verdict.observed == {}
    for claim, ratio in [(RATIO, 2.0), (ALIKE, 2.0), (ALIKE, 0.5)]:
        verdict = judge(claim, rounds(ratio))  # exactly on θ: never decided
        assert (verdict.outcome, verdict.rounds) == ("inconclusive", 40)
        assert "40 rounds" in verdict.reason


def test_judge() -> None:
    check_judge(judge)


@pytest.mark.parametrize(
    "broken",
    [
        lambda claim, pairs: judge(dataclasses.replace(claim, theta=claim.theta * 1.05), pairs),
        lambda claim, pairs: judge(claim, (Pair(pair.b, pair.a) for pair in pairs)),
        lambda claim, pairs: judge(claim, itertools.islice(pairs, 10)),
        lambda claim, pairs: judge(dataclasses.replace(claim, kind="ratio"), pairs),
    ],
    ids=["θ 5% off", "arms swapped", "ends early", "one side only"],
)
def test_check_sees_a_wrong_judge(broken: Callable[[Claim, Iterable[Pair]], Verdict]) -> None:
    with pytest.raises(AssertionError):
        check_judge(broken)


def test_stops_with_the_round_that_decides() -> None:
    taken = rounds(4)
    judge(RATIO, taken)
    assert len(list(taken)) == 1000 - 10


def test_some_rounds_may_differ() -> None:
    verdict = judge(RATIO, pairs(*[4] * 12, 1, 4, 1, *[4] * 30))
    assert verdict.outcome == "supported"  # after 10 rounds, before the others
    verdict = judge(RATIO, pairs(1, *[4] * 30))
    assert (verdict.outcome, verdict.rounds) == ("supported", 14)
    assert verdict.ratio == 4
    assert judge(RATIO, itertools.cycle(pairs(4, 1))).outcome == "inconclusive"


def test_equivalence_needs_both_sides() -> None:
    """Half the rounds far above, half far below: the median is 1, and nothing is alike."""
    verdict = judge(ALIKE, itertools.cycle(pairs(10, 0.1)))
    assert verdict.outcome == "inconclusive"
    assert judge(ALIKE, itertools.cycle(pairs(10, 1))).outcome == "inconclusive"


def test_rounds_that_run_out() -> None:
    verdict = judge(RATIO, rounds(4, 9))
    assert (verdict.outcome, verdict.rounds) == ("inconclusive", 9)
    verdict = judge(RATIO, [])
    assert (verdict.outcome, verdict.rounds, verdict.ratio) == ("inconclusive", 0, None)
    assert "0 rounds" in verdict.reason


@pytest.mark.parametrize(
    "pair",
    [Pair(1, 0), Pair(0, 1), Pair(math.nan, 1), Pair(1, math.nan), Pair(math.inf, 1), Pair(-4, -1)],
)
def test_undefined_ratio_counts_against_either_side(pair: Pair) -> None:
    assert judge(RATIO, itertools.repeat(pair)).outcome == "inconclusive"
    assert judge(ALIKE, itertools.repeat(pair)).outcome == "inconclusive"
    mixed = judge(RATIO, [pair, *pairs(*[4] * 30)])
    assert (mixed.outcome, mixed.rounds) == ("supported", 14)
    assert mixed.ratio == 4  # of those that have one
    assert mixed.interval == (4, 4)


def test_failed_request_ends_it() -> None:
    failed = Pair(4, 1, failed={"timeout": 2})
    verdict = judge(RATIO, [*pairs(*[4] * 9), failed, *pairs(*[4] * 30)])
    assert verdict.outcome == "inconclusive"
    assert verdict.observed == {"failed": {"timeout": 2}}
    assert verdict.rounds == 9
    assert "timeout" in verdict.reason
    assert str(verdict) == "9.1 inconclusive (requests failed)"
    # Also where the round was disturbed as well, and where many others were.
    both = Pair(4, 1, {"closed": 1}, ("busy", ""))
    verdict = judge(RATIO, [*[Pair(4, 1, {}, ("busy", "busy"))] * 5, both])
    assert verdict.outcome == "inconclusive"
    assert verdict.observed == {"failed": {"closed": 1}}


def test_disturbed_rounds_do_not_count() -> None:
    disturbed = Pair(0.001, 1, disturbed=("server without a core", ""))
    verdict = judge(RATIO, [*pairs(*[4] * 5), *[disturbed] * 4, *pairs(*[4] * 5)])
    assert (verdict.outcome, verdict.rounds, verdict.rejected) == ("supported", 10, 4)
    assert verdict.rejected_by_arm == (4, 0)
    assert verdict.ratio == 4


def test_mostly_disturbed_is_not_measurable_here() -> None:
    disturbed = Pair(4, 1, disturbed=("server without a core for 1 s", "late"))
    four_of_ten = itertools.cycle([*pairs(4, 4, 4), disturbed, disturbed])
    verdict = judge(RATIO, four_of_ten)
    assert (verdict.outcome, verdict.rounds, verdict.rejected) == ("not measurable here", 10, 6)
    assert verdict.rejected_by_arm == (6, 6)
    assert "6 of 16 rounds disturbed: server without a core for 1 s in arm a" in verdict.reason
    two_of_seven = itertools.cycle([*pairs(4, 4, 4, 4, 4), disturbed, disturbed])
    assert judge(RATIO, two_of_seven).outcome == "supported"
    taken = iter([disturbed] * 1000)
    verdict = judge(RATIO, taken)
    assert verdict.outcome == "not measurable here"
    assert verdict.rejected == 1000 - len(list(taken)) == 18  # 40 good ones could not repair it


def test_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def slow() -> Iterator[Pair]:
        nonlocal now
        while True:
            now += 1
            yield Pair(4, 1)

    verdict = judge(dataclasses.replace(RATIO, budget_s=5), slow())
    assert (verdict.outcome, verdict.rounds) == ("inconclusive", 6)
    assert "5 s" in verdict.reason
    verdict = judge(dataclasses.replace(RATIO, budget_s=9), slow())
    assert (verdict.outcome, verdict.rounds, verdict.seconds) == ("supported", 10, 10)


def test_verdict_tells_its_seed() -> None:
    assert judge(RATIO, rounds(4), seed=7).seed == 7
    assert judge(RATIO, rounds(4)).seed is None


def test_verdict_says_on_what() -> None:
    verdict = judge(RATIO, rounds(4))
    assert verdict.statement == RATIO.statement
    assert set(verdict.versions) >= {"python", "fastapi", "uvicorn", "uvloop", "httptools"}
    assert set(verdict.machine) >= {"system", "kernel", "cores", "load_1min", "gil"}


def test_false_verdicts_on_noise_at_the_threshold() -> None:
    """The whole of `judge`, not only the signs: 400 claims, truth at θ."""
    rng = np.random.default_rng(21)
    outcomes = [
        judge(RATIO, pairs(*np.exp(rng.normal(math.log(2), 0.3, 40)))).outcome for _ in range(400)
    ]
    for wrong in ("supported", "refuted"):
        assert outcomes.count(wrong) / 400 <= 0.005 + 3 * math.sqrt(0.005 / 400)


@pytest.mark.parametrize(
    ("a_alone", "b_alone", "both", "differ"),
    [
        (0, 0, 0, False),
        (5, 0, 0, False),
        (6, 0, 0, True),
        (0, 6, 0, True),
        (7, 1, 0, False),
        (1, 8, 0, True),
        (6, 6, 0, False),
        (0, 0, 12, False),
        (3, 0, 3, False),
    ],
)
def test_arms_disturbed_unequally(a_alone: int, b_alone: int, both: int, differ: bool) -> None:
    """In rounds in which one arm alone was; a claim decided on the others is no verdict then."""
    rejected = [("late", "")] * a_alone + [("", "late")] * b_alone + [("late", "late")] * both
    assert claims.unequal(rejected) == differ
    good = pairs(*[4, 1] * 20)  # undecided, so that all rounds are taken
    given = [*(Pair(4, 1, disturbed=one) for one in rejected), *good]
    verdict = judge(RATIO, given)
    assert verdict.outcome == ("not measurable here" if differ else "inconclusive")
    assert verdict.rejected_by_arm == (a_alone + both, b_alone + both)
    if differ:
        assert f"arm a was disturbed in {a_alone} rounds and arm b in {b_alone}" in verdict.reason


def test_unequal_arms_overrule_a_decision() -> None:
    late = [Pair(4, 1, disturbed=("", "late"))] * 6
    good = pairs(1, *[4] * 13)  # decides with the last of them, so 6 of 20 rounds are rejected
    assert judge(RATIO, [*late[:5], *good]).outcome == "supported"
    assert judge(RATIO, [*late, *good]).outcome == "not measurable here"
