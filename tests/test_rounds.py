"""Rounds: both orders occur, servers are started anew, and disturbed rounds say so."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lab_apps.instruments.calibration import OK, create_app
from lab_apps.instruments.claims import Claim, Pair, judge
from lab_apps.instruments.load import send
from lab_apps.instruments.rounds import MAX_WAIT_S, Rounds
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Server, serve
from lab_apps.instruments.trial import ROW, Trial
from lab_apps.instruments.wire import Stream

CLAIM = Claim("9.1", "ratio", "A says more than B.", "ms", "A", "B", theta=2.0, why_theta="why")


def trial(value_ms: float, *, error: str = "", seconds: float = 1.0, wait_s: float = 0.0) -> Trial:
    rows = np.zeros(1, dtype=ROW)
    rows["intended_ns"] = rows["sent_ns"] = 1
    rows["done_ns"] = 1 + round(value_ms * 1e6)
    rows["error"] = error
    return Trial(rows, ("one",), 1, seconds, 0.0, wait_s)


class StubServer(Server):
    """Counts, and waits for a core as told."""

    def __init__(self) -> None:
        self.waited_s = 0.0

    def run_queue_wait_s(self) -> float:
        return self.waited_s


class Stage:
    """A stub of all that a round needs; `log` has every start, arm and stop in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.started = 0
        self.a_ms, self.b_ms = 4.0, 1.0
        self.error = ""
        self.server_waits_s = self.client_waits_s = 0.0
        self.seconds = 1.0

    @contextlib.contextmanager
    def server(self) -> Iterator[Server]:
        self.started += 1
        self.log.append("start")
        yield StubServer()
        self.log.append("stop")

    @contextlib.contextmanager
    def server_b(self) -> Iterator[Server]:
        self.log.append("start b")
        yield StubServer()
        self.log.append("stop b")

    def a(self, server: Server, number: int) -> Trial:
        self.log.append(f"a{number}")
        return self._result(server, self.a_ms)

    def b(self, server: Server, number: int) -> Trial:
        self.log.append(f"b{number}")
        return self._result(server, self.b_ms)

    def _result(self, server: Server, value_ms: float) -> Trial:
        assert isinstance(server, StubServer)
        server.waited_s += self.server_waits_s
        return trial(value_ms, error=self.error, seconds=self.seconds, wait_s=self.client_waits_s)

    def rounds(self, seed: int = 0) -> Rounds[Trial]:
        return Rounds(self.server, self.a, self.b, seed=seed)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def value(a: Trial, b: Trial) -> tuple[float, float]:
    return float(a.response_ms[0]), float(b.response_ms[0])


def take(rounds: Rounds[Trial], count: int) -> list[Pair]:
    return list(itertools.islice(rounds.pairs(value), count))


def check_order(log: list[str], count: int) -> None:
    """Each round: a fresh server, both arms once in one order or the other, as a coin decides."""
    assert len(log) == 4 * count
    firsts = []
    for number in range(count):
        start, first, second, stop = log[4 * number : 4 * number + 4]
        assert (start, stop) == ("start", "stop")
        assert {first, second} == {f"a{number}", f"b{number}"}
        firsts.append(first[0])
    assert abs(firsts.count("a") - count / 2) < 4 * (count / 4) ** 0.5
    changes = sum(one != other for one, other in itertools.pairwise(firsts))
    assert abs(changes - count / 2) < 4 * (count / 4) ** 0.5


def test_arms_in_coin_flip_order_on_a_server_started_each_round(stage: Stage) -> None:
    assert take(stage.rounds(), 200) == [Pair(4, 1)] * 200
    check_order(stage.log, 200)


@pytest.mark.parametrize("order", ["fixed", "alternating", "server kept"])
def test_check_sees_an_order_that_is_no_coins(
    stage: Stage, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = itertools.count()

    def shuffle(items: list[int]) -> None:
        items[:] = [0, 1] if order == "fixed" or next(turns) % 2 else [1, 0]

    rounds = stage.rounds()
    if order == "server kept":
        kept = StubServer()
        monkeypatch.setattr(rounds, "_servers", (lambda: contextlib.nullcontext(kept),) * 2)
    else:
        monkeypatch.setattr(rounds._coin, "shuffle", shuffle)
    take(rounds, 200)
    with pytest.raises(AssertionError):
        check_order(stage.log, 200)


def test_order_is_seeded(stage: Stage) -> None:
    logs = []
    for seed in (1, 1, 2):
        stage.log.clear()
        take(stage.rounds(seed), 40)
        logs.append(list(stage.log))
    assert logs[0] == logs[1]
    assert logs[0] != logs[2]


def test_seed_is_drawn_and_told(stage: Stage) -> None:
    seeds = {Rounds(stage.server, stage.a, stage.b).seed for _ in range(20)}
    assert len(seeds) > 10
    assert stage.rounds(7).seed == 7
    rounds = Rounds(stage.server, stage.a, stage.b)
    take(rounds, 40)
    drawn, stage.log = stage.log, []
    take(stage.rounds(rounds.seed), 40)
    assert stage.log == drawn


def test_an_arm_may_have_a_server_of_its_own(stage: Stage) -> None:
    take(Rounds(stage.server, stage.a, stage.b, server_b=stage.server_b), 20)
    for number in range(20):
        one = stage.log[6 * number : 6 * number + 6]
        a = ["start", f"a{number}", "stop"]
        b = ["start b", f"b{number}", "stop b"]
        assert one in (a + b, b + a)


def test_rounds_are_shared_and_not_run_again(stage: Stage) -> None:
    rounds = stage.rounds()
    assert judge(CLAIM, rounds.pairs(value)).rounds == 10
    assert stage.started == 10
    other = dataclasses.replace(CLAIM, id="9.2", theta=8.0)
    assert judge(other, rounds.pairs(value)).outcome == "refuted"
    assert stage.started == 10
    stage.a_ms = 1.5
    third = judge(dataclasses.replace(CLAIM, id="9.3", theta=3.0), rounds.pairs(value))
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
    (pair,) = take(Rounds(stage.server, stage.a, stage.b, max_wait_s=max_wait_s), 1)
    if counts:
        assert pair.invalid == ""
    else:
        for arm in "ab":
            assert f"{who} without a core for {waited_s:.3f} s in arm {arm}" in pair.invalid
    assert (pair.a, pair.b) == (4, 1)  # kept to be seen, and not judged


def test_gate_looks_at_neither_value(stage: Stage) -> None:
    """Whatever the arms say, the same rounds are rejected."""
    stage.server_waits_s = 0.3
    for stage.a_ms in (0.001, 4, 1e6):
        assert take(stage.rounds(), 1)[0].invalid


def test_busy_machine_gives_no_verdict(stage: Stage) -> None:
    stage.server_waits_s = 0.5
    verdict = judge(CLAIM, stage.rounds().pairs(value))
    assert verdict.outcome == "not measurable here"
    assert "server without a core" in verdict.reason


def test_failed_requests_of_either_arm_are_in_the_round(stage: Stage) -> None:
    stage.error = "timeout"
    (pair,) = take(stage.rounds(), 1)
    assert pair.failed == {"timeout": 2}
    verdict = judge(CLAIM, stage.rounds().pairs(value))
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

    rounds = Rounds(server, interrupted, stage.b)
    with pytest.raises(KeyboardInterrupt):
        next(rounds.pairs(value))
    assert stopped == [True]


def test_platform_that_does_not_tell_waits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StubServer, "run_queue_wait_s", lambda _: None)
    assert take(stage.rounds(), 1) == [Pair(4, 1)]


def test_progress_is_one_line(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    judge(CLAIM, stage.rounds().pairs(value))
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
    return Rounds(lambda: serve(create_app), arm(a), arm(b), max_wait_s=float("inf"), seed=1)


def test_planted_effects_are_found() -> None:
    """8 ms against 2 ms, real servers and real load: a ratio of 4 below and above θ."""
    rounds = real("/sleep/8", "/sleep/2")
    for theta, outcome in [(2.0, "supported"), (12.0, "refuted")]:
        claim = dataclasses.replace(CLAIM, theta=theta)
        verdict = judge(claim, rounds.pairs(median_ms))
        assert verdict.outcome == outcome
        assert verdict.ratio is not None
        assert 2 < verdict.ratio < 6
    equal = dataclasses.replace(CLAIM, kind="equivalence", theta=12.0)
    assert judge(equal, rounds.pairs(median_ms)).outcome == "supported"
