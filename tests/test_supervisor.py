"""The supervisor: no floor under its workers' answers; it ends with the process that began it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from helpers import TESTS, children, needs_proc, runs, stream, wait_until

from lab_apps.instruments import load, supervisor, workers
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.workers import serve_workers

APP = "worker_apps:app"
GONE_WITHIN_S = 2.0
pytestmark = needs_proc


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{tmp_path}")
    monkeypatch.setenv("LAB_NOTES", str(tmp_path))
    return tmp_path


def break_host(folder: Path, good: str, bad: str) -> str:
    """A copy of the supervisor with a fault."""
    source = Path(supervisor.__file__).read_text()
    assert source.count(good) == 1
    (folder / "broken_host.py").write_text(source.replace(good, bad))
    return "broken_host:host"


def test_workers_import_little_of_the_lab() -> None:
    heavy = "{'numpy', 'pandas', 'lab_apps.instruments.server'} & {*sys.modules}"
    code = f"import sys, lab_apps.instruments.supervisor; print({heavy})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert said.stdout == b"set()\n"


@pytest.mark.parametrize("fault", ["", "no IPPROTO_TCP"])
def test_no_floor_of_40_ms(fault: str, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio's loop shows it, and the check shows it where the socket is made as uvicorn does."""
    if fault:
        sock = "__import__('socket').create_server(('127.0.0.1', 0))"
        host = break_host(notes, "self._sock = listener()", f"self._sock = {sock}")
        monkeypatch.setattr(workers, "HOST", host)
    with serve_workers(APP, 1, loop="asyncio") as server:
        trial = load.send(server.url, stream(closed(1, requests=40), "/pid", None))
    load._worker.close()
    assert trial.errors == {}
    assert (np.median(trial.service_ms) > 25) == bool(fault)


# A parent that is killed.

PARENT = """
import sys, time
from lab_apps.instruments import workers
workers.HOST = {host!r}
with workers.serve_workers({app!r}, 2) as server:
    print(server.url, flush=True)
    time.sleep(60)
"""


def remaining(app: str, host: str, blocked: Path | None, within_s: float) -> set[int]:
    """Descendants that are there when their ancestor has been dead for that long."""
    script = PARENT.format(app=app, host=host)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        # The supervisor, two workers, and the resource tracker of multiprocessing.
        assert wait_until(lambda: len(children(parent.pid)) == 4, 10)
        if blocked is None:
            time.sleep(1.5)
        else:
            assert parent.stdout is not None
            url = parent.stdout.readline().strip()
            with contextlib.suppress(httpx.ReadTimeout):
                httpx.get(f"{url}/block?hold_s=60", timeout=1)
            assert blocked.exists()
        everything = children(parent.pid)
        assert len(everything) == 4
    finally:
        parent.kill()
        parent.communicate()
    wait_until(lambda: not any(runs(pid) for pid in everything), within_s)
    return {pid for pid in everything if runs(pid)}


@pytest.mark.parametrize("app", [APP, "apps:startup_hangs"], ids=["a worker blocked", "starting"])
def test_nothing_outlives_a_killed_parent(app: str, notes: Path) -> None:
    blocked = notes / "block" if app == APP else None
    assert remaining(app, workers.HOST, blocked, GONE_WITHIN_S) == set()


def test_check_sees_workers_that_stay(notes: Path) -> None:
    good = "threading.Thread(target=_end_with_supervisor, daemon=True).start()"
    left = remaining(APP, break_host(notes, good, "pass"), notes / "block", GONE_WITHIN_S)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert len(left) >= 2
