"""Rounds: every order occurs, servers are started anew, and disturbed rounds say so."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from stage import Stage, StubServer, take, value

from lab_apps.instruments.calibration import OK, create_app
from lab_apps.instruments.claims import Claim, Pair, judge
from lab_apps.instruments.load import send
from lab_apps.instruments.rounds import MAX_WAIT_S, Rounds
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Server, serve
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Stream

CLAIM = Claim("9.1", "ratio", "A says more than B.", "ms", "A", "B", theta=2.0, why_theta="why")


@pytest.fixture
def stage() -> Stage:
    return Stage()


def check_order(log: list[str], count: int, names: str = "ab") -> None:
    """Each round: a fresh server, every arm once, in an order as a fair die decides it."""
    length = len(names) + 2
    assert len(log) == length * count
    orders = []
    for number in range(count):
        start, *ran, stop = log[length * number : length * (number + 1)]
        assert (start, stop) == ("start", "stop")
        assert sorted(ran) == [f"{name}{number}" for name in names]
        orders.append("".join(name[0] for name in ran))
    possible = ["".join(order) for order in itertools.permutations(names)]
    share = 1 / len(possible)
    for order in possible:
        assert abs(orders.count(order) - count * share) < 4 * (count * share * (1 - share)) ** 0.5
    same = sum(one == other for one, other in itertools.pairwise(orders))
    assert abs(same - count * share) < 4 * (count * share * (1 - share)) ** 0.5


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_arms_in_random_order_on_a_server_started_each_round(stage: Stage, names: str) -> None:
    assert take(stage.rounds(names=names), 200) == [Pair(4, 1)] * 200
    check_order(stage.log, 200, names)


@pytest.mark.parametrize("names", ["ab", "abc"])
@pytest.mark.parametrize("order", ["fixed", "rotating", "server kept"])
def test_check_sees_an_order_that_is_no_coins(
    stage: Stage, order: str, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = itertools.count()

    def shuffle(items: list[str]) -> None:
        turn = 0 if order == "fixed" else next(turns) % len(items)
        items[:] = items[turn:] + items[:turn]

    rounds = stage.rounds(names=names)
    if order == "server kept":
        kept = StubServer()
        monkeypatch.setattr(rounds, "_server", lambda: contextlib.nullcontext(kept))
    else:
        monkeypatch.setattr(rounds._coin, "shuffle", shuffle)
    take(rounds, 200)
    with pytest.raises(AssertionError):
        check_order(stage.log, 200, names)


def test_order_is_seeded(stage: Stage) -> None:
    logs = []
    for seed in (1, 1, 2):
        stage.log.clear()
        take(stage.rounds(seed), 40)
        logs.append(list(stage.log))
    assert logs[0] == logs[1]
    assert logs[0] != logs[2]


def test_seed_is_drawn_and_told(stage: Stage) -> None:
    seeds = {Rounds(stage.server, stage.arms()).seed for _ in range(20)}
    assert len(seeds) > 10
    assert stage.rounds(7).seed == 7
    rounds = Rounds(stage.server, stage.arms())
    take(rounds, 40)
    drawn, stage.log = stage.log, []
    take(stage.rounds(rounds.seed), 40)
    assert stage.log == drawn


def test_rounds_are_shared_and_not_run_again(stage: Stage) -> None:
    rounds = stage.rounds()
    assert judge(CLAIM, rounds.pairs("a", "b", value)).rounds == 10
    assert stage.started == 10
    other = dataclasses.replace(CLAIM, id="9.2", theta=8.0)
    assert judge(other, rounds.pairs("a", "b", value)).outcome == "refuted"
    assert stage.started == 10
    stage.ms["a"] = 1.5
    third = judge(dataclasses.replace(CLAIM, id="9.3", theta=3.0), rounds.pairs("a", "b", value))
    assert (third.outcome, third.rounds, stage.started) == ("supported", 10, 10)
    assert take(rounds, 12)[9:] == [Pair(4, 1), Pair(1.5, 1), Pair(1.5, 1)]
    assert stage.started == 12


@pytest.mark.parametrize("who", ["server", "client"])
@pytest.mark.parametrize(
    ("waited_s", "max_wait_s", "counts"),
    [
        (0.0, MAX_WAIT_S, True),
        (0.06, MAX_WAIT_S, True),
        (0.061, MAX_WAIT_S, False),
        (0.2, 0.3, True),
        (0.2, 0.1, False),
    ],
)
def test_round_without_a_core_does_not_count(
    stage: Stage, who: str, waited_s: float, max_wait_s: float, counts: bool
) -> None:
    setattr(stage, f"{who}_waits_s", waited_s)
    (pair,) = take(Rounds(stage.server, stage.arms(), max_wait_s=max_wait_s), 1)
    if counts:
        assert pair.disturbed == ("", "")
    else:
        assert pair.disturbed == (f"{who} without a core for {waited_s:.3f} s",) * 2
    assert (pair.a, pair.b) == (4, 1)  # kept to be seen, and not judged


def test_gate_looks_at_neither_value(stage: Stage) -> None:
    """Whatever the arms say, the same rounds are rejected."""
    stage.server_waits_s = 0.3
    for stage.ms["a"] in (0.001, 4, 1e6):
        assert all(take(stage.rounds(), 1)[0].disturbed)


def test_busy_machine_gives_no_verdict(stage: Stage) -> None:
    stage.server_waits_s = 0.5
    verdict = judge(CLAIM, stage.rounds().pairs("a", "b", value))
    assert verdict.outcome == "not measurable here"
    assert "server without a core" in verdict.reason


def test_failed_requests_of_either_arm_are_in_the_round(stage: Stage) -> None:
    stage.error = "timeout"
    (pair,) = take(stage.rounds(), 1)
    assert pair.failed == {"timeout": 2}
    verdict = judge(CLAIM, stage.rounds().pairs("a", "b", value))
    assert verdict.outcome == "inconclusive"
    assert verdict.observed == {"failed": {"timeout": 2}}


def test_server_is_stopped_where_an_arm_raises(stage: Stage) -> None:
    stopped = []

    @contextlib.contextmanager
    def server() -> Iterator[Server]:
        try:
            yield StubServer()
        finally:
            stopped.append(True)

    def interrupted(*_: object) -> Trial:
        raise KeyboardInterrupt

    rounds = Rounds(server, {"a": interrupted, "b": stage.arm("b")})
    with pytest.raises(KeyboardInterrupt):
        next(rounds.pairs("a", "b", value))
    assert stopped == [True]


def test_platform_that_does_not_tell_waits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StubServer, "run_queue_wait_s", lambda _: None)
    assert take(stage.rounds(), 1) == [Pair(4, 1)]


def test_progress_is_one_line(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    judge(CLAIM, stage.rounds().pairs("a", "b", value))
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.count("\n") <= 1
    assert "rounds 10" in shown.out


def median_ms(a: Trial, b: Trial) -> tuple[float, float]:
    return float(np.median(a.response_ms)), float(np.median(b.response_ms))


def real(a: str, b: str) -> Rounds[Trial]:
    """Five requests by one user to each of two routes of the calibration app."""

    def arm(path: str) -> Callable[[Server, int], Trial]:
        return lambda server, _: send(server.url, Stream("one", path, closed(1, requests=5), OK))

    # Without the gate: this is about effects.
    arms = {"a": arm(a), "b": arm(b)}
    return Rounds(lambda: serve(create_app), arms, max_wait_s=float("inf"), seed=1)


def test_planted_effects_are_found() -> None:
    """8 ms against 2 ms, real servers and real load: a ratio of 4 below and above θ."""
    rounds = real("/sleep/8", "/sleep/2")
    for theta, outcome in [(2.0, "supported"), (12.0, "refuted")]:
        claim = dataclasses.replace(CLAIM, theta=theta)
        verdict = judge(claim, rounds.pairs("a", "b", median_ms))
        assert verdict.outcome == outcome
        assert verdict.ratio is not None
        assert 2 < verdict.ratio < 6
    equal = dataclasses.replace(CLAIM, kind="equivalence", theta=12.0)
    assert judge(equal, rounds.pairs("a", "b", median_ms)).outcome == "supported"
