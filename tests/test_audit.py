"""The audit of the verdicts: no verdict is wrong, and where one were the audit would say so."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import children, needs_proc, no_leftovers
from stage import StubServer, trial

from lab_apps.instruments import audit, claims, selfcheck, sequential
from lab_apps.instruments.audit import Audit, Tally
from lab_apps.instruments.claims import Outcome
from lab_apps.instruments.hog import hog
from lab_apps.instruments.process import Process
from lab_apps.instruments.server import serve
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Stream

COUNTS = {"supported": 0, "refuted": 0, "inconclusive": 0, "not measurable here": 0}


def tally(theta: float, wrong: int, trials: int = 300) -> Tally:
    return Tally("one", 1.0, theta, trials, COUNTS, wrong, 12000, 3, 500.0)


def check(tallies: tuple[Tally, ...], trials: int) -> None:
    """Every trial is counted, and no tally has more wrong verdicts than it may."""
    for one in tallies:
        assert list(one.outcomes) == list(COUNTS)
        assert sum(one.outcomes.values()) == one.trials == trials
        assert one.holds, one


@pytest.fixture
def _ungated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No round is rejected, however busy the machine."""
    monkeypatch.setattr(audit, "MAX_WAIT_S", float("inf"))
    monkeypatch.setattr(selfcheck, "faults", lambda _: [])


@needs_proc
@pytest.mark.usefixtures("_ungated")
def test_no_verdict_is_wrong() -> None:
    """A few on real servers, at θ that take few rounds; the others are in the long test."""
    same = audit.same_route_twice(3, (2.0, 4.0))
    assert [one.theta for one in same] == [2.0, 4.0]
    check(same, 3)
    below, above = audit.planted(10, (10**0.5, 10**1.5), 1)
    check((below, above), 1)
    assert below.outcomes["supported"] == above.outcomes["refuted"] == 1


@needs_proc
@pytest.mark.usefixtures("_ungated")
def test_a_judge_that_follows_the_first_sign_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(signs: list[int]) -> sequential.Side:
        return "above" if signs[0] > 0 else "below"

    monkeypatch.setattr(sequential, "decide", first)
    at_one, *_ = audit.same_route_twice(6)
    assert (at_one.wrong, at_one.rounds) == (6, 6)
    assert not at_one.holds
    with pytest.raises(AssertionError):
        check((at_one,), 6)


@pytest.mark.parametrize(
    ("factor", "theta", "wrong"),
    [
        (1.0, 1.0, {"supported", "refuted"}),
        (1.0, 1.1, {"supported"}),
        (1.0, 0.9, {"refuted"}),
        (2.0, 1.4, {"refuted"}),
        (2.0, 2.8, {"supported"}),
    ],
)
def test_what_is_wrong(
    factor: float, theta: float, wrong: set[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    for outcome in COUNTS:
        given = claims.Verdict("0", "", "ratio", outcome, "", {}, rounds=7, rejected=2)  # type: ignore[arg-type]
        monkeypatch.setattr(audit, "judge", lambda *_, given=given: given)
        (one,) = audit.planted(factor, (theta,), 3)
        assert one.outcomes == COUNTS | {outcome: 3}
        assert one.wrong == (3 if outcome in wrong else 0)
        assert (one.factor, one.theta, one.rounds, one.rejected) == (factor, theta, 21, 6)


def test_what_holds() -> None:
    assert tally(1.0, 9).holds
    assert not tally(1.0, 10).holds
    assert not tally(1.0, 1, trials=30).holds
    assert tally(1.1, 0).holds
    assert not tally(1.1, 1).holds
    unjudged = dataclasses.replace(tally(1.1, 0), outcomes=COUNTS | {"not measurable here": 30})
    assert unjudged.holds
    assert not dataclasses.replace(unjudged, trials=299).holds
    beside_hog = dataclasses.replace(tally(2.0, 1, trials=20), what="hog at random")
    assert beside_hog.holds
    assert not dataclasses.replace(beside_hog, wrong=2).holds


def test_no_trials() -> None:
    with pytest.raises(ValueError, match="at least one trial, not 0"):
        audit.same_route_twice(0)


# The hog.


class Silent(StubServer):
    url = ""


def judge_after(_: claims.Claim, pairs: Iterator[claims.Pair]) -> claims.Verdict:
    """No verdict, after 50 rounds."""
    assert len(list(itertools.islice(pairs, 50))) == 50
    return claims.Verdict("0", "", "ratio", "inconclusive", "", {})


def switched(pattern: str, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[bool, str]]]:
    """Of 200 rounds the two bursts: whether the hog was on, and whose burst it was."""
    log: list[tuple[bool, str]] = []
    now: list[bool] = []

    def send(_: str, stream: Stream) -> Trial:
        log.append((now[-1], stream.name))
        return trial(1.0)

    monkeypatch.setattr(audit, "hog", lambda: contextlib.nullcontext(now.append))
    monkeypatch.setattr(audit, "serve", lambda _: contextlib.nullcontext(Silent()))
    monkeypatch.setattr(audit, "send", send)
    monkeypatch.setattr(audit, "judge", judge_after)
    audit.under_hog(pattern, 4, (1.1,))
    assert len(now) == len(log) == 400
    return [log[first : first + 2] for first in range(0, 400, 2)]


def test_hog_switches_with_the_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = switched("every second burst", monkeypatch)
    assert [[on for on, _ in one] for one in rounds] == [[False, True]] * 200
    met = [name for one in rounds for on, name in one if on]
    assert 60 < met.count("one") < 140  # the coin decides who meets it
    rounds = switched("every second round", monkeypatch)
    assert [[on for on, _ in one] for one in rounds] == [[False] * 2, [True] * 2] * 100
    rounds = switched("at random", monkeypatch)
    for pair in itertools.product((False, True), repeat=2):
        assert 20 < sum(tuple(on for on, _ in one) == pair for one in rounds) < 90


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@needs_proc
def test_hog_computes_while_it_is_on_and_ends_with_the_block() -> None:
    earlier = children(os.getpid())
    with no_leftovers(), hog() as switch:
        (pid,) = children(os.getpid()) - earlier
        used_s = []
        for on in (True, False, True):
            switch(on)
            before_s = cpu_s(pid)
            time.sleep(0.3)
            used_s.append(cpu_s(pid) - before_s)
        first, idle, again = used_s
        assert min(first, again) > 0.03
        assert idle <= 0.02


@pytest.mark.long
@needs_proc
@pytest.mark.usefixtures("_ungated")
def test_a_hog_beside_one_arm_only_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the coin."""
    monkeypatch.setattr(random.Random, "shuffle", lambda _, names: names.reverse())
    (one,) = audit.under_hog("every second burst", 5, (1.1,))
    print(f"\n{audit.table([one])}")
    assert one.wrong > 1
    assert not one.holds


# The whole audit.


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], Path]:
    def prepare(wrong: int) -> Path:
        done = Audit((tally(1.0, wrong), tally(2.0, 0)), 600.0, "2026-01-01T00:00:00+00:00")
        monkeypatch.setattr(audit, "run", lambda: done)
        monkeypatch.setattr(audit, "STORED", tmp_path / "audit.json")
        return tmp_path / "audit.json"

    return prepare


@pytest.mark.parametrize(("wrong", "status"), [(3, 0), (10, 1)])
def test_table_and_record(
    ran: Callable[[int], Path], wrong: int, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ran(wrong)
    assert audit.main([]) == status
    assert not path.exists()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split()[:5] == ["one", "1.000", "300", "300", str(wrong)]
    assert audit.main(["--store"]) == status
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["tallies"][0]["wrong"] == wrong
    assert stored["tallies"][0]["outcomes"] == COUNTS
    assert stored["versions"]["fastapi"]
    assert stored["machine"]["cores"]


def test_wrong_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        audit.main(["--keep"])
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "--keep" in said.err


@pytest.mark.long
@needs_proc
def test_whole_audit() -> None:
    done = audit.run()
    print(f"\n{audit.table(done.tallies)}\n{done.seconds} s")
    assert [one.trials for one in done.tallies] == [300] * 3 + [20] * 14
    at_one, *_ = done.tallies
    assert (at_one.factor, at_one.theta) == (1.0, 1.0)
    assert at_one.wrong <= 9
    for one in done.tallies:
        check((one,), one.trials)
    assert any(one.outcomes["supported"] for one in done.tallies if one.theta < one.factor)


@pytest.mark.long
@needs_proc
def test_same_route_twice_in_a_kept_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with Process() as kept:
        monkeypatch.setattr(
            audit, "serve", lambda _: serve("lab_apps.instruments.audit:app", where=kept)
        )
        check(audit.same_route_twice(50, (1.1, 2.0)), 50)
