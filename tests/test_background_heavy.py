"""Tasks that compute: in which process, who is late beside them, and what is left afterwards."""

from __future__ import annotations

import os
import signal
import sys

import httpx
import numpy as np
import pytest
from alive import ACCEPTED, SERVED, posts
from fastapi import FastAPI
from helpers import attempts, children, needs_proc, no_leftovers, runs, wait_until
from specimens import spawned

from lab_apps.instruments import machine
from lab_apps.instruments.ledger import Ledger
from lab_apps.instruments.program import Program
from lab_apps.instruments.schedule import paced
from lab_apps.instruments.server import Process, serve
from lab_apps.instruments.task_run import run
from lab_apps.instruments.wire import Stream
from lab_apps.practices.background_tasks import heavy

NAME = "lab_apps.practices.background_tasks.heavy:create_app"


def check_where(form: str, same_process: bool) -> None:
    """The work is noted by the process that accepted it, or by another."""
    with Ledger() as ledger, Process({"LEDGER": str(ledger.path)}) as apart:
        with serve(NAME, where=apart) as server:
            done = run(server, ledger, posts(f"/heavy/{form}?seconds=0.01", paced(1, 1)))
        pids = {event.what: event.pid for event in done.events}
        assert list(pids) == ["accepted", "begun", "done"]
        assert (pids["begun"] == pids["accepted"]) is same_process


@pytest.mark.parametrize(("form", "same"), [("thread", True), ("process", False)])
def test_where_it_computes(form: str, same: bool) -> None:
    check_where(form, same)


def test_check_sees_the_other_process() -> None:
    with pytest.raises(AssertionError):
        check_where("thread", False)


def check_late(form: str, at_least: float, at_most: float) -> None:
    """The share of others that wait for more than half a switch interval, while work computes."""
    others = Stream("victim", "/victim", paced(400, 0.4), SERVED)
    with (
        Ledger() as ledger,
        Process({"LEDGER": str(ledger.path)}) as apart,
        serve(NAME, where=apart) as server,
    ):
        run(server, ledger, posts(f"/heavy/{form}?seconds=0.001", paced(1, 1)))
        done = run(server, ledger, posts(f"/heavy/{form}?seconds=0.4", paced(1, 1)), others)
    assert done.trial.errors == {}
    late_ms = 1e3 * sys.getswitchinterval() / 2
    share = np.mean(done.trial.stream("victim").response_ms > late_ms)
    assert at_least <= share <= at_most


@pytest.mark.skipif(not machine.gil_enabled(), reason="no GIL")
def test_a_thread_makes_others_late() -> None:
    attempts(check_late, "thread", 0.4, 1.0)


@pytest.mark.skipif(bool(machine.lacks(["2 idle cores"])), reason="no core for the process")
def test_a_process_does_not() -> None:
    attempts(check_late, "process", 0.0, 0.25)
    with pytest.raises(AssertionError):
        attempts(check_late, "thread", 0.0, 0.25)


@needs_proc
def test_pool_ends_with_its_server() -> None:
    def use() -> None:
        with serve(heavy.create_app) as server:
            before = spawned(os.getpid())
            answer = httpx.post(f"{server.url}/heavy/process?seconds=0.001")
            assert answer.content == ACCEPTED
            assert wait_until(lambda: bool(spawned(os.getpid()) - before), 5)

    use()  # starts multiprocessing's tracker, which stays
    with no_leftovers():
        use()


@needs_proc
def test_pool_ends_with_a_server_that_is_killed() -> None:
    with Program("uvicorn", NAME, "--factory", "--port", "0") as program:
        url = program.wait_for(r"running on (http://127\.0\.0\.1:\d+)", 20)[1]
        httpx.post(f"{url}/heavy/process?seconds=0.001")
        assert wait_until(lambda: bool(spawned(program.pid)), 10)
        pids = children(program.pid)
        program.signal(signal.SIGKILL)
        assert wait_until(lambda: not any(map(runs, pids)), 5)


def test_apps_are_apart() -> None:
    assert isinstance(heavy.create_app(), FastAPI)
    assert heavy.create_app() is not heavy.create_app()
