"""Claims, declared in claims.toml before anything is run, and the verdicts on them."""

from __future__ import annotations

import math
import re
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeAlias

from lab_apps.instruments import machine, sequential
from lab_apps.instruments.trial import Trial

CLAIMS_FILE = Path(__file__).parent.parent / "claims.toml"

Kind: TypeAlias = Literal["exact", "ratio", "equivalence"]
Outcome: TypeAlias = Literal["supported", "refuted", "inconclusive", "not measurable here"]

UNEQUAL_LEVEL = 0.05
INVALID_SHARE = 0.3  # of rounds in which the machine was too busy; beyond it there is no verdict


@dataclass(frozen=True)
class Claim:
    """One claim as declared: what is said, what is measured, and where the threshold lies.

    `expected` belongs to an exact claim; a list of two numbers in it means from .. to. `theta` and
    `why_theta` belong to the others: a ratio claim says that a/b > theta, an equivalence claim that
    1/theta < a/b < theta. `needs` says what the machine must have for the claim to make sense, in
    the words of `machine.NEEDS`.
    """

    id: str
    kind: Kind
    statement: str
    metric: str
    a: str = ""
    b: str = ""
    expected: Mapping[str, Any] = field(default_factory=dict)
    theta: float = 0.0
    why_theta: str = ""
    budget_s: float = 30.0
    needs: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for a claim that could not be judged."""
        if not re.fullmatch(r"\d+(\.\d+)*", self.id):
            raise ValueError(f"claim {self.id!r}: the number of a claim looks like 5.3.1")
        if self.kind == "exact":
            missing = [] if self.expected else ["expected"]
        elif self.kind in ("ratio", "equivalence"):
            missing = [name for name in ("a", "b", "theta", "why_theta") if not getattr(self, name)]
        else:
            raise ValueError(f"claim {self.id}: {self.kind!r} is not exact, ratio, equivalence")
        if missing:
            raise ValueError(f"claim {self.id} ({self.kind}) lacks {', '.join(missing)}")
        least = {"exact": None, "ratio": 0, "equivalence": 1}[self.kind]
        for name, above in (("theta", least), ("budget_s", 0)):
            value = getattr(self, name)
            if above is not None and not (
                isinstance(value, int | float) and above < value < math.inf
            ):
                raise ValueError(
                    f"claim {self.id} ({self.kind}): {name} must be a number above {above},"
                    f" not {value!r}"
                )
        if not set(self.needs) <= machine.NEEDS.keys():
            raise ValueError(f"claim {self.id}: needs {self.needs!r}, not of {[*machine.NEEDS]}")


@dataclass(frozen=True)
class Pair:
    """One round: a value for each arm, or why the round doesn't count.

    `failed` are requests that did not end as expected, by kind; `disturbed` says of arm a and of
    arm b what disturbed it, or "", decided by rules that are the same for both and don't compare
    them. Where an arm is compared with its own prediction both say the same.
    """

    a: float
    b: float
    failed: Mapping[str, int] = field(default_factory=dict)
    disturbed: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Verdict:
    """What a claim came to, with all that is needed to doubt it. `str()` is "5.3 supported".

    `rejected` are the rounds that did not count, `rejected_by_arm` those in which arm a and those
    in which arm b was disturbed.
    """

    id: str
    statement: str
    kind: Kind
    outcome: Outcome
    reason: str
    observed: Mapping[str, Any]
    theta: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    rounds: int = 0
    rejected: int = 0
    rejected_by_arm: tuple[int, int] = (0, 0)
    pairs: tuple[tuple[float, float], ...] = ()
    seed: int | None = None
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=machine.versions)
    machine: Mapping[str, Any] = field(default_factory=machine.describe)

    def __str__(self) -> str:
        """The number and the outcome; a verdict that failed requests prevented says so."""
        failed = " (requests failed)" if "failed" in self.observed else ""
        return f"{self.id} {self.outcome}{failed}"


def load(path: Path = CLAIMS_FILE) -> dict[str, Claim]:
    """The declared claims by number. Raises ValueError for one that could not be judged."""
    claims: dict[str, Claim] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["claim"]:
        try:
            claim = Claim(**entry)
        except TypeError as error:
            raise ValueError(f"{path.name}, claim {entry.get('id', '?')}: {error}") from None
        if claim.id in claims:
            raise ValueError(f"{path.name} declares claim {claim.id} twice")
        claims[claim.id] = claim
    return claims


def exact(
    claim: Claim,
    observed: Mapping[str, Any],
    trials: Iterable[Trial] = (),
    *,
    disturbed: str = "",
) -> Verdict:
    """Supported where `observed` equals what was declared, refuted where it doesn't.

    Counts, types and orders need no statistics. The reason names what differs. Inconclusive where
    a request of the `trials` failed that was not meant to; not measurable here where the machine
    lacks what the claim needs, or was `disturbed`, as decided by a rule on the client and the
    machine alone.
    """
    if not_here := machine.lacks(claim.needs) or disturbed:
        return _verdict(claim, "not measurable here", not_here, {})
    failed = count_failed(trials)
    if failed:
        return _verdict(claim, "inconclusive", f"requests failed: {failed}", {"failed": failed})
    differences = _differences(claim.expected, observed)
    reason = "; ".join(differences) or "as declared"
    return _verdict(claim, "refuted" if differences else "supported", reason, dict(observed))


def judge(claim: Claim, pairs: Iterable[Pair], *, seed: int | None = None) -> Verdict:
    """The verdict of the exact sequential sign test on rounds taken from `pairs` as needed.

    Only the sign of log(a/b / theta) decides, at most 0.5% wrong per side even where the truth
    lies on theta. An equivalence is two such tests, against theta and 1/theta (TOST, D. J.
    Schuirmann, 1987): supported when both decide inward, refuted when either decides outward.
    Inconclusive after 40 rounds, after the claim's budget, or when a request failed; not
    measurable here where the machine lacks what the claim needs, the platform can't tell a busy
    machine from an idle one, more than 30% of the rounds were disturbed, or one arm is disturbed
    more often than the other (`unequal`): the rounds that are left would be a selection. `seed` is
    the one that the rounds were drawn from, kept on record.
    """
    if not_here := machine.lacks(claim.needs) or machine.why_no_timing():
        return _verdict(claim, "not measurable here", not_here, {})
    begun = time.monotonic()
    kept: list[Pair] = []
    rejected: list[tuple[str, str]] = []
    outcome: Outcome = "inconclusive"
    reason = f"undecided after {sequential.MAX_ROUNDS} rounds"
    failed: Mapping[str, int] = {}
    for pair in pairs:
        if pair.failed:
            outcome, reason, failed = "inconclusive", f"requests failed: {pair.failed}", pair.failed
            break
        if any(pair.disturbed):
            rejected.append(pair.disturbed)
            if len(rejected) > INVALID_SHARE / (1 - INVALID_SHARE) * sequential.MAX_ROUNDS:
                break  # even 40 undisturbed rounds would not bring the share down again
        else:
            kept.append(pair)
            decided = _decide(claim, kept)
            if decided:
                outcome, reason = decided
                break
        if len(kept) >= sequential.MAX_ROUNDS:
            break
        if time.monotonic() - begun > claim.budget_s:
            reason = f"undecided after {claim.budget_s} s"
            break
    if not_here := machine.lacks(claim.needs):  # what was idle before may be busy since
        outcome, reason = "not measurable here", not_here
    by_arm = (sum(bool(a) for a, _ in rejected), sum(bool(b) for _, b in rejected))
    if not failed and len(rejected) > INVALID_SHARE * (len(kept) + len(rejected)):
        outcome = "not measurable here"
        a, b = rejected[-1]
        why = f"{a} in arm a" if a else f"{b} in arm b"
        reason = f"{len(rejected)} of {len(kept) + len(rejected)} rounds disturbed: {why}"
    elif not failed and unequal(rejected):
        outcome = "not measurable here"
        reason = f"arm a was disturbed in {by_arm[0]} rounds and arm b in {by_arm[1]}"
    ratios = [pair.a / pair.b for pair in kept if _is_defined(pair)]
    return _verdict(
        claim,
        outcome,
        reason,
        {"failed": dict(failed)} if failed else {},
        theta=claim.theta,
        ratio=median(ratios) if ratios else None,
        interval=sequential.median_interval(ratios),
        rounds=len(kept),
        rejected=len(rejected),
        rejected_by_arm=by_arm,
        pairs=tuple((pair.a, pair.b) for pair in kept),
        seed=seed,
        seconds=round(time.monotonic() - begun, 1),
    )


def unequal(rejected: Iterable[tuple[str, str]]) -> bool:
    """Whether one arm was disturbed more often than the other.

    The sign test on rounds in which one arm alone was disturbed (Q. McNemar, Psychometrika 12,
    1947, exact): True at a two-sided level of 5%, so from six to none on. False says that no
    difference was found.
    """
    alone = [bool(a) for a, b in rejected if bool(a) != bool(b)]
    rarer = min(sum(alone), len(alone) - sum(alone))
    return 2 * sequential.tail(rarer, len(alone)) <= UNEQUAL_LEVEL


def count_failed(trials: Iterable[Trial]) -> dict[str, int]:
    """Requests of these trials that did not end as expected, by kind."""
    failed: dict[str, int] = {}
    for trial in trials:
        for kind, count in trial.errors.items():
            failed[kind] = failed.get(kind, 0) + count
    return failed


def _decide(claim: Claim, kept: list[Pair]) -> tuple[Outcome, str] | None:
    upper = sequential.decide([_sign(pair, claim.theta) for pair in kept])
    if claim.kind == "ratio":
        if upper == "above":
            return "supported", f"a/b lies above {claim.theta}"
        return ("refuted", f"a/b lies below {claim.theta}") if upper == "below" else None
    lower = sequential.decide([_sign(pair, 1 / claim.theta) for pair in kept])
    if upper == "above" or lower == "below":
        return "refuted", f"a/b lies outside 1/{claim.theta} .. {claim.theta}"
    if upper == "below" and lower == "above":
        return "supported", f"a/b lies within 1/{claim.theta} .. {claim.theta}"
    return None


def _differences(expected: Mapping[str, Any], observed: Mapping[str, Any]) -> list[str]:
    """What is not as declared, by name."""
    found = []
    for name in dict.fromkeys((*expected, *observed)):
        if name not in observed:
            found.append(f"{name!r} was declared and not observed")
        elif name not in expected:
            found.append(f"{name!r} was observed and not declared")
        elif not _meets(observed[name], expected[name]):
            found.append(f"{name!r} is {observed[name]!r}, declared was {expected[name]!r}")
    return found


def _meets(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        low, high = wanted
        return bool(low <= value <= high)
    return bool(value == wanted)


def _is_defined(pair: Pair) -> bool:
    return 0 < pair.a < math.inf and 0 < pair.b < math.inf


def _sign(pair: Pair, theta: float) -> int:
    """Sign of log(a/b / theta); 0, which counts against either side, where it is undefined."""
    if not _is_defined(pair):
        return 0
    return int(pair.a > theta * pair.b) - int(pair.a < theta * pair.b)


def _verdict(
    claim: Claim, outcome: Outcome, reason: str, observed: Mapping[str, Any], **more: Any
) -> Verdict:
    return Verdict(claim.id, claim.statement, claim.kind, outcome, reason, observed, **more)
