"""Whether cores are idle, from known ticks; and claims that need them to be, all the while."""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from helpers import attempts, needs_proc, wait_until

from lab_apps.instruments import machine
from lab_apps.instruments.claims import Claim, Pair, Verdict, judge
from lab_apps.instruments.machine import idle_cores, lacks

HZ = os.sysconf("SC_CLK_TCK")
WINDOW_S = 0.15
NEED = ["2 idle cores"]


@dataclasses.dataclass
class Proc:
    """A /proc/stat of three cores, of which this process may use the first and the last.

    In a sleep each of the two is idle for `idle_s` and waits for a disk for `disk_s`; all fields
    but these two count up too, and so do those of the core that is not ours.
    """

    folder: Path
    idle_s: float
    disk_s: float = 0.0
    slept: int = 0

    def write(self) -> None:
        used = 700 + self.slept * 31
        idle = round(5000 + self.slept * self.idle_s * HZ)
        disk = round(40 + self.slept * self.disk_s * HZ)
        ours = f"{used} {used} {used} {idle} {disk} {used} {used} 0 0 0"
        theirs = " ".join([str(self.slept * 100_000)] * 10)
        lines = [f"cpu  {theirs}", f"cpu0 {ours}", f"cpu1 {theirs}", f"cpu2 {ours}", "ctxt 3"]
        (self.folder / "stat").write_text("\n".join(lines))

    def sleep(self, _: float) -> None:
        self.slept += 1
        self.write()


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    made = Proc(tmp_path, 0.0)
    made.write()
    monkeypatch.setattr(machine, "PROC", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2}, raising=False)
    monkeypatch.setattr(time, "sleep", made.sleep)
    monkeypatch.setattr(time, "perf_counter", lambda: 100 + made.slept * WINDOW_S)
    monkeypatch.setattr(machine, "parallel_speedup", lambda: 2.0)
    return made


def check_idle(proc: Proc, idle_cores: Callable[[], float | None]) -> None:
    for proc.idle_s, proc.disk_s, idle in [
        (0, 0, 0),
        (0.15, 0, 2),
        (0.12, 0.03, 2),
        (0, 0.15, 2),
        (0.12, 0, 1.6),
        (0.03, 0.06, 1.2),
    ]:
        proc.slept = 0
        proc.write()
        assert idle_cores() == pytest.approx(idle)


def test_idle_cores_from_known_ticks(proc: Proc) -> None:
    check_idle(proc, idle_cores)


@pytest.mark.parametrize("broken", ["every core", "one core", "since the start"])
def test_check_sees_wrong_ticks(broken: str, proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = {"every core": {0, 1, 2}, "one core": {0}}.get(broken)
    if cores:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores, raising=False)

    def since_the_start() -> float | None:
        idle_cores()
        return machine._idle_s()

    with pytest.raises(AssertionError):
        check_idle(proc, idle_cores if cores else since_the_start)


@pytest.mark.parametrize(
    ("idle_s", "why"),
    [
        (0.15, None),
        (0.12, None),
        (0.11, "1.5 of 2 cores idle, 2 needed"),
        (0.08, "1.1 of 2 cores idle, 2 needed"),
        (0.0, "0.0 of 2 cores idle, 2 needed"),
    ],
)
def test_need_of_idle_cores(proc: Proc, idle_s: float, why: str | None) -> None:
    proc.idle_s = idle_s
    assert lacks(NEED) == why


@pytest.mark.usefixtures("proc")
@pytest.mark.parametrize(("speedup", "enough"), [(2.0, True), (1.8, True), (1.7, False)])
def test_cores_that_are_shared_unseen(
    speedup: float, enough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both idle, and not two all the same."""
    monkeypatch.setattr(machine, "idle_cores", lambda: 2.0)
    monkeypatch.setattr(machine, "parallel_speedup", lambda: speedup)
    why = f"two processes compute {speedup:.2f} times as much as one, 1.8 needed"
    assert lacks(NEED) == (None if enough else why)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs to choose its core")
def test_speedup_of_one_core() -> None:
    """Two processes on one core compute no more than one."""

    def check() -> None:
        assert machine.parallel_speedup() < 1.3

    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        attempts(check)
    finally:
        os.sched_setaffinity(0, before)


def test_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PROC", tmp_path / "none")
    assert idle_cores() is None
    assert lacks(NEED) == f"{platform.system()} does not say whether cores are idle"


def test_one_core_is_not_looked_at(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert lacks(NEED) == "1 core, 2 needed"
    assert proc.slept == 0


def test_idle_cores_here() -> None:
    """No more than there are, whatever else runs: give or take two ticks of each core."""
    idle, cores = idle_cores(), machine.usable_cores()
    if idle is not None:
        assert 0 <= idle <= cores * (1 + 2 / HZ / WINDOW_S)


@needs_proc
def test_busy_process_is_seen() -> None:
    """On the one core that this thread may use; once it has ended, that core is idle at times."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs to bind a process to one core")
    before = os.sched_getaffinity(0)
    core = min(before)
    spinning = f"import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile 1: pass"
    try:
        with subprocess.Popen([sys.executable, "-c", spinning], stdout=subprocess.PIPE) as rival:
            assert rival.stdout is not None
            rival.stdout.readline()
            os.sched_setaffinity(threading.get_native_id(), {core})
            while_busy = idle_cores()
            rival.kill()
        assert wait_until(lambda: (idle_cores() or 0) > 0.3, 20)
    finally:
        os.sched_setaffinity(threading.get_native_id(), before)
    assert while_busy is not None
    assert while_busy < 0.15


# Claims that need it.

RATIO = Claim(
    "9.1", "ratio", "A says more than B.", "ms", "A", "B", theta=2, why_theta="why", needs=NEED
)
BUSY = "1.0 of 2 cores idle, 2 needed"
Judge = Callable[[Claim, Iterable[Pair]], Verdict]


def rounds(monkeypatch: pytest.MonkeyPatch, busy_from: int, failed: bool = False) -> Iterator[Pair]:
    """Rounds of ratio 4; the machine is busy before round 0, 1, 2, … and from there on."""
    lack = BUSY if busy_from == 0 else None
    monkeypatch.setattr(machine, "lacks", lambda needs: lack if needs else None)

    def run() -> Iterator[Pair]:
        nonlocal lack
        for number in range(1, 100):
            lack = BUSY if number >= busy_from else None
            yield Pair(4, 1, {"timeout": 1} if failed and number == 5 else {})

    return run()


def check_needs_hold(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Met before and after the rounds, or there is no verdict but the reason."""
    for busy_from, outcome, count in [
        (0, "not measurable here", 0),
        (1, "not measurable here", 10),
        (7, "not measurable here", 10),
        (10, "not measurable here", 10),
        (11, "supported", 10),
    ]:
        verdict = judge(RATIO, rounds(monkeypatch, busy_from))
        assert (verdict.outcome, verdict.rounds) == (outcome, count), busy_from
        assert verdict.reason == ("a/b lies above 2" if busy_from == 11 else BUSY)
        assert verdict.ratio == (4 if count else None)  # kept on record


def test_needs_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    check_needs_hold(judge, monkeypatch)


def asks_never(claim: Claim, pairs: Iterable[Pair]) -> Verdict:
    return judge(dataclasses.replace(claim, needs=()), pairs)


def asks_once(claim: Claim, pairs: Iterable[Pair]) -> Verdict:
    first = machine.lacks(claim.needs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "lacks", lambda _: first)
        return judge(claim, pairs)


@pytest.mark.parametrize("broken", [asks_never, asks_once])
def test_check_sees_needs_that_are_not_asked_again(
    broken: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError):
        check_needs_hold(broken, monkeypatch)


def test_busy_and_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No verdict either way, and the failures stay on record."""
    verdict = judge(RATIO, rounds(monkeypatch, 3, failed=True))
    assert (verdict.outcome, verdict.reason) == ("not measurable here", BUSY)
    assert verdict.observed == {"failed": {"timeout": 1}}
