"""The same route under two names: no verdict may say that they differ."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import apps
import pytest
from helpers import TESTS, needs_proc

from lab_apps.instruments.claims import Claim, Verdict, judge
from lab_apps.instruments.load import send
from lab_apps.instruments.process import Process
from lab_apps.instruments.rounds import Rounds
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Server, serve
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Stream

pytestmark = [pytest.mark.long, needs_proc]

CLAIM = Claim("9.1", "ratio", "A takes longer than B.", "ms", "A", "B", theta=1.1, why_theta="A/A")
Start = Callable[[], AbstractContextManager[Server]]


@contextlib.contextmanager
def in_thread() -> Iterator[Start]:
    yield lambda: serve(apps.twins)


@contextlib.contextmanager
def in_kept_process() -> Iterator[Start]:
    with Process() as kept:
        yield lambda: serve("apps:twins", where=kept)


def arm(path: str) -> Callable[[Server, int], Trial]:
    burst = Stream("one", path, closed(16, requests=80), b'"done"')
    return lambda server, _: send(server.url, burst)


def makespans(a: Trial, b: Trial) -> tuple[float, float]:
    return a.makespan_ms, b.makespan_ms


def verdicts(start: Start, a: str, b: str, count: int, first_seed: int) -> list[Verdict]:
    """`count` claims that a takes longer than b, each with rounds of its own."""
    given = []
    for seed in range(first_seed, first_seed + count):
        rounds = Rounds(start, {a: arm(a), b: arm(b)}, max_wait_s=0.02, seed=seed)
        given.append(judge(CLAIM, rounds.pairs(a, b, makespans), seed=seed))
    return given


def report(what: str, given: list[Verdict], begun_s: float) -> Counter[str]:
    counts = Counter(str(verdict.outcome) for verdict in given)
    ratios = sorted(verdict.ratio for verdict in given if verdict.ratio is not None)
    rounds = sum(verdict.rounds + verdict.rejected for verdict in given)
    print(
        f"\n{what}: {dict(counts)}, {rounds} rounds, {sum(v.rejected for v in given)} rejected,"
        f" ratios {ratios[0]:.3f} .. {ratios[-1]:.3f}, {time.monotonic() - begun_s:.0f} s"
    )
    return counts


@pytest.mark.parametrize("where", [in_thread, in_kept_process])
def test_same_route_twice(
    where: Callable[[], AbstractContextManager[Start]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """50 claims, none supported; and 10 about a route 1.5 times slower, all supported.

    What is declared is at most 0.5% in error where the truth lies on θ; it lies 10% below.
    """
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with where() as start:
        begun_s = time.monotonic()
        same = report("A/A", verdicts(start, "/one", "/two", 50, 1000), begun_s)
        begun_s = time.monotonic()
        slower = report("1.5", verdicts(start, "/slower", "/one", 10, 2000), begun_s)
    assert same.total() == 50
    assert same["supported"] == 0
    assert slower == {"supported": 10}
