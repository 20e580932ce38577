"""A program and what it has started are gone with its block, and with its lab however that ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import children, interrupted, needs_proc, no_leftovers, runs, wait_until

from lab_apps.instruments import nursery
from lab_apps.instruments.program import Program

pytestmark = needs_proc
ROOT = Path(__file__).parents[1]
GONE_WITHIN_S = 2.0

STARTS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as is inherited: nothing asks them to end
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("other", other.pid, flush=True)
"""
SLEEPS = STARTS + "time.sleep(60)"
COMPUTES = STARTS + "while True: pass"
ENDS = STARTS + "sys.exit()"

# A lab that is killed within the block, and its fork, which holds the pipe to the program open.
LAB = """
import os, time
from lab_apps.instruments.program import Program
with Program("written") as program:
    other = program.wait_for(r"other (\\d+)").group(1)
    print(program.pid, other, flush=True)
    time.sleep(60)
"""
FORK = """
    if not (fork := os.fork()):
        time.sleep(30)
        os._exit(0)
    print(fork, flush=True)
"""
LABS = {
    "alone": LAB,
    "with a fork": LAB.replace("    time.sleep(60)\n", FORK + "    time.sleep(60)\n"),
}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    return tmp_path / "written.py"


@pytest.mark.parametrize("ends_by", ["its end", "an error", "an interrupt"])
def test_the_block_takes_it_and_what_it_started(written: Path, ends_by: str) -> None:
    written.write_text(SLEEPS)
    pids: set[int] = set()
    with no_leftovers(), contextlib.suppress(OSError), Program("written") as program:
        program.wait_for("other")
        pids = {program.pid, *children(program.pid)}
        if ends_by == "an error":
            raise OSError("of the block")
        if ends_by == "an interrupt":
            with interrupted(0.1):
                program.wait(30)
    assert len(pids) == 2
    assert not [pid for pid in pids if runs(pid)]


@pytest.mark.parametrize("script", [ENDS, SLEEPS], ids=["it has ended", "it was killed"])
def test_the_block_takes_what_is_left_of_one_that_is_gone(written: Path, script: str) -> None:
    written.write_text(script)
    with no_leftovers():
        with Program("written") as program:
            other = int(program.wait_for(r"other (\d+)").group(1))
            if script == SLEEPS:
                program.signal(signal.SIGKILL)
            program.wait(10)
            assert runs(other)
        assert wait_until(lambda: not runs(other), GONE_WITHIN_S)


def test_an_interrupt_while_it_starts_leaves_nothing(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.write_text(SLEEPS)
    program = Program("written")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with no_leftovers():
        with monkeypatch.context() as patch:
            patch.setattr(nursery.Forked, "__init__", interrupted)
            with pytest.raises(KeyboardInterrupt), program:
                pass
        with program:
            program.wait_for("other")


def check_gone_with_lab(lab: str, within_s: float = GONE_WITHIN_S) -> None:
    """Within 2 s of the lab's SIGKILL the program and what it has started are gone."""
    running = subprocess.Popen([sys.executable, "-c", lab], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    pids = [int(pid) for pid in running.stdout.readline().split()]
    forks = [int(running.stdout.readline()) for _ in range("os.fork" in lab)]
    try:
        assert len(pids) == 2
        assert all(runs(pid) for pid in pids + forks)
        running.kill()
        wait_until(lambda: not any(runs(pid) for pid in pids), within_s)
        assert [runs(pid) for pid in pids] == [False, False], "still there"
        assert all(runs(pid) for pid in forks)  # the pipe was held all the time
    finally:
        for pid in pids + forks:
            if runs(pid):
                os.kill(pid, signal.SIGKILL)
        running.communicate()


@pytest.mark.parametrize("lab", LABS)
@pytest.mark.parametrize("script", [SLEEPS, COMPUTES], ids=["sleeps", "computes"])
def test_it_ends_when_its_lab_is_killed(written: Path, lab: str, script: str) -> None:
    written.write_text(script)
    check_gone_with_lab(LABS[lab])


@pytest.mark.parametrize(
    ("good", "bad"),
    [("target=_end_with_parent", "target=str"), ("killpg(0, signal.SIGKILL)", "_exit(0)")],
    ids=["no watcher", "a watcher that forgets what it has started"],
)
def test_check_sees_what_stays(written: Path, good: str, bad: str) -> None:
    source = Path(nursery.__file__).read_text()
    assert source.count(good) == 1
    written.write_text(SLEEPS)
    written.with_name("broken.py").write_text(source.replace(good, bad))
    lab = (
        "import broken\nfrom lab_apps.instruments import program\nprogram.nursery = broken\n" + LAB
    )
    with pytest.raises(AssertionError, match="still there"):
        check_gone_with_lab(lab)


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2])
def test_a_lab_killed_while_it_starts_leaves_nothing(written: Path, after_s: float) -> None:
    written.write_text(SLEEPS)
    lab = LAB.replace("    other =", "    print(program.pid, flush=True)\n    other =")
    running = subprocess.Popen([sys.executable, "-c", lab], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    pid = int(running.stdout.readline())
    time.sleep(after_s)
    below = children(running.pid)
    running.kill()
    running.communicate()
    assert wait_until(lambda: not any(runs(one) for one in {pid, *below}), 5)
