"""The child process: answers, fails by name, and never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import TESTS, interrupted, needs_proc, no_leftovers, runs, wait_until
from targets import OwnError

from lab_apps.instruments import child as module
from lab_apps.instruments.child import Child, ChildError

GONE_WITHIN_S = 2.0


@pytest.fixture(autouse=True)
def _targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@pytest.fixture
def echo() -> Iterator[Child]:
    child = Child("targets:echo")
    yield child
    child.close()


def test_calls_return(echo: Child) -> None:
    assert echo.pid is None
    assert echo.call(1, "two", None) == (1, "two", None)
    pid = echo.pid
    assert pid != os.getpid()
    assert echo.call() == ()
    assert echo.pid == pid  # the same process


def test_much_goes_both_ways(echo: Child) -> None:
    data = bytes(10_000_000)
    assert echo.call(data) == (data,)


def test_exception_keeps_its_type() -> None:
    child = Child("targets:fail")
    with pytest.raises(OwnError, match="no database") as caught:
        child.call("no database")
    assert type(caught.value) is OwnError
    pid = child.pid
    with pytest.raises(TypeError):
        child.call()
    assert child.pid == pid  # it lives on
    child.close()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("targets:missing", "missing"),
        ("no_such_module:x", "no_such_module"),
        ("targets:unpicklable", "pickle"),
    ],
)
def test_child_that_ends_tells_its_last_words(target: str, says: str) -> None:
    child = Child(target)
    with pytest.raises(ChildError, match=says) as caught:
        child.call()
    assert target in str(caught.value)
    assert child.pid is None


def test_child_that_ends_in_a_call() -> None:
    child = Child("targets:die")
    for _ in range(2):
        with pytest.raises(ChildError, match="targets:die has ended"):
            child.call(3)


@pytest.mark.parametrize("when", ["between calls", "in a call"])
def test_killed_child_is_an_error_and_the_next_call_works(when: str) -> None:
    child = Child("targets:sleep_and_say")
    pid = child.call(0)
    killer = threading.Timer(0.2 if when == "in a call" else 0, os.kill, (pid, signal.SIGKILL))
    killer.start()
    if when == "between calls":
        killer.join()
        assert wait_until(lambda: not runs(pid), 5)
    with pytest.raises(ChildError):
        child.call(60)
    assert child.call(0) not in (pid, os.getpid())
    child.close()


def test_no_answer_in_time() -> None:
    child = Child("targets:sleep_and_say")
    pid = child.call(0)
    with pytest.raises(TimeoutError, match="targets:sleep_and_say"):
        child.call(60, timeout_s=0.1)
    assert not runs(pid)
    assert child.call(0) != pid
    child.close()


def test_interrupt_ends_the_child_and_the_next_call_works() -> None:
    child = Child("targets:sleep_and_say")
    pid = child.call(0)
    with interrupted(0.2):
        child.call(60)
    assert not runs(pid)
    assert child.pid is None
    assert child.call(0) != pid
    child.close()


@pytest.mark.parametrize("point", ["tempfile.TemporaryFile", "subprocess.Popen"])
def test_interrupt_while_it_starts(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it strikes, nothing stays and the next call works."""
    Child("targets:echo").close()
    child = Child("targets:echo")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with no_leftovers():
        with monkeypatch.context() as patch:
            patch.setattr(f"lab_apps.instruments.child.{point}", interrupted)
            with pytest.raises(KeyboardInterrupt):
                child.call(1)
        assert child.call(2) == (2,)
        child.close()


def test_interrupt_of_the_terminal_does_not_reach_it(echo: Child) -> None:
    """It has a session of its own, so Ctrl-C goes to the parent alone."""
    echo.call()
    assert echo.pid is not None
    assert os.getsid(echo.pid) == echo.pid != os.getsid(0)


def test_close_twice_and_before_the_start(echo: Child) -> None:
    echo.close()
    echo.call()
    echo.close()
    echo.close()
    assert echo.pid is None


def test_what_it_prints_does_not_block_it() -> None:
    child = Child("builtins:print")
    for _ in range(3):
        assert child.call("x" * 200_000) is None
    child.close()


@needs_proc
def test_twenty_starts_leave_nothing() -> None:
    child = Child("targets:echo")
    child.call()
    child.close()
    with no_leftovers():
        for number in range(20):
            if number % 4 == 0:  # ended in the other ways, too
                broken = Child("targets:die")
                with pytest.raises(ChildError):
                    broken.call(1)
            assert child.call(number) == (number,)
            child.close()


@needs_proc
def test_check_sees_what_is_left() -> None:
    child = Child("targets:echo")
    with pytest.raises(AssertionError), no_leftovers(within_s=0.1):
        child.call()
    child.close()


@needs_proc
@pytest.mark.parametrize("kind", ["a thread", "a descriptor"])
def test_check_sees_other_things_that_are_left(kind: str) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    held: list[int] = []

    def leave() -> None:
        if kind == "a thread":
            thread.start()
        else:
            held.append(os.dup(0))

    with pytest.raises(AssertionError) as caught, no_leftovers(within_s=0.1):
        leave()
    stop.set()
    if held:
        os.close(held[0])
    else:
        thread.join()
    assert {"a thread": "thread ", "a descriptor": " -> "}[kind] in str(caught.value)


# A parent that is killed. It prints its child's process id, and the test kills it.

PARENT = """
import os, sys, time
from lab_apps.instruments import child as module
from lab_apps.instruments.child import Child
child = Child("{target}")
child.call({first})
{then}
print(child.pid, flush=True)
{last}
time.sleep(60)
"""
FORK = """
if not (other := os.fork()):  # it holds the pipe to the child open
    time.sleep(30)
    os._exit(0)
print(other, flush=True)
"""
PARENTS = {
    "idle": PARENT.format(target="targets:sleep_and_say", first="0", then="", last=""),
    "asleep in a call": PARENT.format(
        target="targets:sleep_and_say", first="0", then="", last="child.call(60)"
    ),
    "computing in a call": PARENT.format(
        target="builtins:exec", first="'0'", then="", last="child.call('while True: pass')"
    ),
    "pipe held by a fork": PARENT.format(
        target="targets:sleep_and_say", first="0", then=FORK, last=""
    ),
    "pipe held by a fork, in a call": PARENT.format(
        target="targets:sleep_and_say", first="0", then=FORK, last="child.call(60)"
    ),
}


def check_dies_with_parent(script: str, within_s: float = GONE_WITHIN_S) -> None:
    """Within 2 s of its parent's SIGKILL the child, printed last, is gone."""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(1 + (FORK in script))]
    time.sleep(0.1)  # into the call
    assert all(runs(pid) for pid in pids)
    try:
        parent.kill()
        killed = time.monotonic()
        wait_until(lambda: not runs(pids[-1]), within_s)
        assert not runs(pids[-1]), f"still there after {time.monotonic() - killed:.1f} s"
        assert FORK not in script or runs(pids[0])  # the pipe was held all the time
    finally:
        for pid in pids:
            if runs(pid):
                os.kill(pid, signal.SIGKILL)
        parent.communicate()


@needs_proc
@pytest.mark.parametrize("parent", PARENTS)
def test_child_ends_when_its_parent_is_killed(parent: str) -> None:
    check_dies_with_parent(PARENTS[parent])


@needs_proc
@pytest.mark.parametrize(
    ("parent", "good", "bad"),
    [
        ("asleep in a call", "=_end_with_parent, args=(os.getppid(),)", "=str"),
        ("pipe held by a fork", "os.getppid() == parent", "True"),
    ],
    ids=["no watcher", "a watcher that trusts the pipe alone"],
)
def test_check_sees_a_child_that_stays(parent: str, good: str, bad: str, tmp_path: Path) -> None:
    source = Path(module.__file__).read_text()
    assert source.count(good) == 1
    (tmp_path / "broken.py").write_text(source.replace(good, bad))
    os.environ["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"  # undone by the fixture above
    script = PARENTS[parent].replace("lab_apps.instruments.child", "broken")
    with pytest.raises(AssertionError, match="still there"):
        check_dies_with_parent(script, GONE_WITHIN_S / 2)


def test_environment() -> None:
    """What is added is there, also after another start; what was there stays."""
    child = Child("os:getenv", {"LAB_TEST": "yes"})
    for _ in range(2):
        assert child.call("LAB_TEST") == "yes"
        assert child.call("PATH") == os.environ["PATH"]
        child.close()
    assert "LAB_TEST" not in os.environ
