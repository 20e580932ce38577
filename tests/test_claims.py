"""Exact claims, and what the machine lacks for any: verdicts say no more than was observed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from declared import ALIKE, EXACT, RATIO, rounds

from lab_apps.instruments import claims, machine
from lab_apps.instruments.claims import CLAIMS_FILE, Claim, Pair, Verdict, exact, judge
from lab_apps.instruments.trial import ROW, Trial


@pytest.mark.parametrize(
    ("observed", "outcome"),
    [
        ({"count": 3, "where": "loop"}, "supported"),
        ({"where": "loop", "count": np.int64(3)}, "supported"),
        ({"count": 4, "where": "loop"}, "refuted"),
        ({"count": 3, "where": "thread"}, "refuted"),
        ({"count": 3}, "refuted"),
        ({"count": 3, "where": "loop", "more": 1}, "refuted"),
        ({}, "refuted"),
    ],
)
def test_exact(observed: dict[str, Any], outcome: str) -> None:
    verdict = exact(EXACT, observed)
    assert verdict.outcome == outcome
    assert str(verdict) == f"9.3 {outcome}"
    assert verdict.observed == observed


def test_what_differs_is_named() -> None:
    reason = exact(EXACT, {"count": 4, "more": 1}).reason
    assert "'count' is 4, declared was 3" in reason
    assert "'where' was declared and not observed" in reason
    assert "'more' was observed and not declared" in reason
    assert exact(EXACT, {"count": 4, "where": "loop"}).reason == "'count' is 4, declared was 3"


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (2, "supported"),
        (4.0, "supported"),
        (np.float64(3), "supported"),
        (1.99, "refuted"),
        (4.01, "refuted"),
        (math.nan, "refuted"),
    ],
)
def test_two_numbers_are_from_and_to(value: float, outcome: str) -> None:
    claim = dataclasses.replace(EXACT, expected={"count": [2, 4]})
    assert exact(claim, {"count": value}).outcome == outcome


def test_exact_claim_on_a_disturbed_machine() -> None:
    """Whatever was observed."""
    for observed in ({"answered": 20}, {"answered": 0}):
        verdict = exact(EXACT, observed, disturbed="client without a core")
        assert (verdict.outcome, verdict.reason) == ("not measurable here", "client without a core")


def test_no_way_to_tell_a_busy_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "PROC", tmp_path)
    for claim in (RATIO, ALIKE):
        untouched = rounds(4)
        verdict = judge(claim, untouched)
        assert verdict.outcome == "not measurable here"
        assert "schedstat" in verdict.reason
        assert len(list(untouched)) == 1000  # nothing was run
    assert exact(EXACT, EXACT.expected).outcome == "supported"
    assert exact(EXACT, {"count": 1}).outcome == "refuted"


def check_needs_come_first(
    judge: Callable[[Claim, Iterable[Pair]], Verdict], exact: Callable[..., Verdict]
) -> None:
    """Where the machine lacks what a claim needs, nothing is run and nothing else is said."""
    for claim in (RATIO, ALIKE):
        untouched = rounds(4)
        verdict = judge(dataclasses.replace(claim, needs=["gil", "2 cores"]), untouched)
        assert (verdict.outcome, verdict.reason) == ("not measurable here", "1 core, 2 needed")
        assert len(list(untouched)) == 1000
    needy = dataclasses.replace(EXACT, needs=["2 cores"])
    for observed in (EXACT.expected, {"count": 1}):
        verdict = exact(needy, observed, [failed_trial()])
        assert (verdict.outcome, verdict.reason) == ("not measurable here", "1 core, 2 needed")
        assert str(verdict) == "9.3 not measurable here"


def failed_trial() -> Trial:
    rows = np.zeros(1, dtype=ROW)
    rows["error"] = "timeout"
    return Trial(rows, ("one",), 1, 1.0, 0.0, 0.0)


def test_machine_that_lacks_what_a_claim_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gil_enabled", lambda: True)
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    check_needs_come_first(judge, exact)


def test_check_sees_needs_that_nobody_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gil_enabled", lambda: True)
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    with pytest.raises(AssertionError):
        check_needs_come_first(lambda claim, pairs: judge(_needless(claim), pairs), exact)
    with pytest.raises(AssertionError):
        check_needs_come_first(judge, lambda claim, *seen: exact(_needless(claim), *seen))


def _needless(claim: Claim) -> Claim:
    return dataclasses.replace(claim, needs=())


def test_machine_that_has_what_a_claim_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gil_enabled", lambda: True)
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    needs = ["2 cores", "gil"]
    assert judge(dataclasses.replace(RATIO, needs=needs), rounds(4)).outcome == "supported"
    needy = dataclasses.replace(EXACT, needs=needs)
    assert exact(needy, EXACT.expected).outcome == "supported"
    assert exact(needy, {"count": 1}).outcome == "refuted"


def test_share_for_invalid_rounds_is_the_documented_one() -> None:
    assert claims.INVALID_SHARE == 0.3
    assert CLAIMS_FILE.name == "claims.toml"
