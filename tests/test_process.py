"""A server in a process of its own, and what becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest
from helpers import TESTS, children, needs_proc, no_leftovers, refuses, runs, wait_until
from targets import OwnError, fail

from lab_apps.instruments import load
from lab_apps.instruments.calibration import OK
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Process, serve
from lab_apps.instruments.wire import Stream

CALIBRATION = "lab_apps.instruments.calibration:create_app"


@pytest.fixture(autouse=True)
def _apps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@needs_proc
def test_server_in_a_process() -> None:
    with no_leftovers():
        with serve("apps:kinds", where="process", tokens=3, probe=True) as one:
            stream = Stream("def", "/def?hold_s=0.03", closed(5, requests=15), b'"def"')
            before = one.loop_cpu_s()
            load.send(one.url, stream)
            assert one.readings().tokens.max() == 3
            after = one.loop_cpu_s()
            assert before is not None
            assert after is not None
            assert after > before
            waited = one.run_queue_wait_s()
            assert waited is not None
            assert waited >= 0
        assert refuses(one.url)
        load._worker.close()


def test_process_is_fresh_each_time() -> None:
    pids = set()
    for _ in range(2):
        with serve("apps:home", where="process") as one:
            pid, _, lifespans, *_ = httpx.get(one.url + "/def").json()
        pids.add(pid)
        assert lifespans == 1
    assert len(pids) == 2


@needs_proc
def test_nothing_is_asked_after_the_end() -> None:
    """It would start a process that nobody ends."""
    with no_leftovers(), Process() as home:
        with serve(CALIBRATION, where="process") as one, serve(CALIBRATION, where=home) as two:
            assert one.cpu_s() != two.cpu_s()
        for ended in (one, two):
            for question in (ended.readings, ended.cpu_s, ended.loop_cpu_s, ended.run_queue_wait_s):
                with pytest.raises(ChildError, match="has stopped"):
                    question()


@needs_proc
def test_inside_the_process() -> None:
    def local() -> None:
        pass

    def in_a_notebook() -> None:
        pass

    in_a_notebook.__module__, in_a_notebook.__qualname__ = "__main__", "in_a_notebook"
    with no_leftovers(), Process() as home:
        with serve("apps:bare", where=home) as one:
            assert one.inside(os.getpid) == home.pid
            assert one.inside(divmod, 7, 2) == (3, 1)
            with pytest.raises(OwnError, match="no"):
                one.inside(fail, "no")
            for function in (local, in_a_notebook, lambda: None):
                with pytest.raises(ValueError, match="move it to a module"):
                    one.inside(function)
            assert httpx.get(one.url).text == "bare"  # in spite of all this
        with pytest.raises(ChildError, match="has stopped"):
            one.inside(os.getpid)


def test_environment_of_the_process(tmp_path: Path) -> None:
    """What is added is there, what was there stays."""
    with Process(env={"TMPDIR": str(tmp_path)}) as home, serve("apps:bare", where=home) as one:
        assert one.inside(tempfile.gettempdir) == str(tmp_path)
        assert one.inside(os.getenv, "PATH") == os.environ["PATH"]
    assert tempfile.gettempdir() != str(tmp_path)


@needs_proc
def test_interrupt_while_asking_a_server_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the server; the block ends with the interrupt, not with another error."""

    def interrupt(*_: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        return False

    def ask() -> None:
        with serve(CALIBRATION, where="process") as one, monkeypatch.context() as patch:
            patch.setattr("multiprocessing.connection.Connection.poll", interrupt)
            one.readings()

    with no_leftovers(), pytest.raises(KeyboardInterrupt):
        ask()


@needs_proc
def test_server_process_that_is_killed() -> None:

    def kill() -> None:
        load._worker.close()
        before = set(children(os.getpid()))
        with serve(CALIBRATION, where="process") as one:
            (pid,) = set(children(os.getpid())) - before
            os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda: not runs(pid), 5)
            trial = load.send(one.url, Stream("one", "/null", closed(2, requests=10), OK))
            assert trial.errors == {"refused": 10}
            load._worker.close()

    with no_leftovers(), pytest.raises(ChildError, match="ended"):
        kill()


# A parent that is killed.

PARENT = f"""
import sys, time
from contextlib import nullcontext
sys.path.insert(0, {str(TESTS)!r})
from lab_apps.instruments import load
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Process, serve
from lab_apps.instruments.wire import Stream
with {{home}} as home, serve("apps:kinds", where=home) as one:
    load.send(one.url, Stream("s", "/async", closed(4, requests=8), b'"async"'))
    print(one._child.pid, load.worker_pid(), one.url, flush=True)
    {{last}}
    time.sleep(60)
"""
LASTS = {
    "idle": "pass",
    "under load": "load.send(one.url, Stream('s', '/def', closed(4, seconds=60), b'\"def\"'))",
    "loop blocked": "load.send(one.url, Stream('s', '/async?hold_s=60', closed(1, requests=1)))",
}


@needs_proc
@pytest.mark.parametrize(
    ("home", "last"),
    [*(("nullcontext('process')", last) for last in LASTS), ("Process()", "loop blocked")],
)
def test_nothing_outlives_a_killed_parent(home: str, last: str) -> None:
    script = PARENT.format(home=home, last=LASTS[last])
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        server_pid, worker_pid, url = parent.stdout.readline().split()
        pids = {int(server_pid), int(worker_pid)}
        assert children(parent.pid) == pids
        time.sleep(0.2)
    finally:
        parent.kill()
        parent.communicate()
    assert wait_until(lambda: refuses(url) and not any(runs(pid) for pid in pids), 2)
