"""What a result says about where it was measured, and what a platform can't tell."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from helpers import needs_proc

from lab_apps.instruments import machine, memory


def test_versions_are_those_installed() -> None:
    import fastapi
    import uvicorn

    found = machine.versions()
    assert found["fastapi"] == fastapi.__version__
    assert found["uvicorn"] == uvicorn.__version__
    assert found["python"].startswith("3.")
    assert set(found) == {"python", "postgres", *machine.PACKAGES}


def test_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PACKAGES", ("fastapi", "no-such-package"))
    assert machine.versions()["no-such-package"] == "-"


def test_describe() -> None:
    told = machine.describe()
    assert told["cores"] == machine.usable_cores() >= 1
    assert told["gil"] is machine.gil_enabled()
    assert told["switch_interval_ms"] > 0
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(
    ("soft", "hard", "becomes"),
    [
        (256, resource.RLIM_INFINITY, 4096),
        (256, 1024, 1024),
        (256, 10_000, 4096),
        (8000, 10_000, 8000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_enough_descriptors(
    soft: int, hard: int, becomes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    machine.allow_descriptors()
    assert limits[-1] == (becomes, hard)


def spin(seconds: float) -> None:
    """Use that much CPU time on this thread."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@needs_proc
def test_run_queue_wait_is_seen() -> None:
    """Two processes on one core: whoever is not on it waits for it."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs to bind a process to one core")
    before = os.sched_getaffinity(0)
    core = min(before)
    spinning = (
        f"import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile True: pass"
    )
    rival = subprocess.Popen([sys.executable, "-c", spinning], stdout=subprocess.PIPE)
    try:
        assert rival.stdout is not None
        rival.stdout.readline()
        os.sched_setaffinity(threading.get_native_id(), {core})
        start = machine.run_queue_wait_s(os.getpid(), threading.get_native_id())
        begun = time.perf_counter()
        spin(0.1)
        took = time.perf_counter() - begun
        end = machine.run_queue_wait_s(os.getpid(), threading.get_native_id())
    finally:
        os.sched_setaffinity(threading.get_native_id(), before)
        rival.kill()
        rival.communicate()
    assert start is not None
    assert end is not None
    assert end - start == pytest.approx(took - 0.1, abs=0.02)
    assert end - start > 0.03


def test_platform_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PROC", tmp_path)
    assert machine.run_queue_wait_s(os.getpid(), threading.get_native_id()) is None
    why = machine.why_no_timing()
    assert why is not None
    assert "schedstat" in why


@needs_proc
def test_platform_with_proc() -> None:
    assert machine.why_no_timing() is None


@pytest.mark.parametrize(
    ("needs", "gil", "cores", "why"),
    [
        ([], True, 1, None),
        (["gil"], True, 1, None),
        (["gil"], False, 1, "this interpreter has no GIL"),
        (["no gil"], False, 1, None),
        (["no gil"], True, 1, "this interpreter has a GIL"),
        (["2 cores"], True, 2, None),
        (["2 cores"], True, 64, None),
        (["2 cores"], True, 1, "1 core, 2 needed"),
        (["2 cores", "gil"], False, 2, "this interpreter has no GIL"),
        (["2 cores", "gil"], False, 1, "1 core, 2 needed"),
        (["2 cores", "gil"], True, 2, None),
    ],
)
def test_what_a_machine_lacks(
    needs: list[str], gil: bool, cores: int, why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "gil_enabled", lambda: gil)
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    assert machine.lacks(needs) == why


@pytest.mark.parametrize("broken", ["import", "model"])
def test_pydantic_1_is_tried_out(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    v1 = pytest.importorskip("pydantic.v1")
    assert machine.lacks(["pydantic.v1"]) is None
    if broken == "import":
        monkeypatch.setitem(sys.modules, "pydantic.v1", None)
    else:
        monkeypatch.setattr(v1, "create_model", lambda *_, **__: warnings.warn("no", stacklevel=1))
    assert "pydantic.v1 can't be used here" in (machine.lacks(["pydantic.v1"]) or "")


def test_timing_needs_what_ratio_claims_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "PROC", tmp_path)
    assert machine.lacks(["timing"]) == machine.why_no_timing()


def test_memory_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "why_no_high_water", lambda: "none here")
    assert machine.lacks(["high-water mark"]) == "none here"
    for kind, lacking in (("ext4", False), ("tmpfs", True), ("unknown", True)):
        monkeypatch.setattr(memory, "filesystem", lambda _, kind=kind: kind)
        assert bool(machine.lacks(["disk"])) == lacking
    monkeypatch.setattr(machine, "PROC", tmp_path)
    monkeypatch.setattr(machine, "SHARED", tmp_path)
    assert f"no tmpfs at {tmp_path}" in str(machine.lacks(["tmpfs"]))
    monkeypatch.setattr(machine, "SHARED", Path("/"))
    assert "/proc/meminfo" in str(machine.lacks(["tmpfs"]))
    (tmp_path / "meminfo").touch()
    monkeypatch.setattr(machine, "SHARED_BYTES", 2**60)
    assert "MiB free in /, 48 needed" in str(machine.lacks(["tmpfs"]))
    monkeypatch.setattr(machine, "SHARED_BYTES", 0)
    assert machine.lacks(["tmpfs"]) is None


def test_unknown_need() -> None:
    with pytest.raises(KeyError, match="4 cores"):
        machine.lacks(["4 cores"])


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="needs thread clocks")
def test_cpu_of_a_thread() -> None:
    go, stop = threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        spin(0.05)
        stop.wait()

    thread = threading.Thread(target=work)
    assert machine.thread_cpu_s(thread) is None  # not started
    thread.start()
    before = machine.thread_cpu_s(thread)
    go.set()
    deadline = time.monotonic() + 10
    used = 0.0
    while used < 0.05 and time.monotonic() < deadline:
        time.sleep(0.01)
        now = machine.thread_cpu_s(thread)
        assert now is not None
        assert before is not None
        used = now - before
    assert used == pytest.approx(0.05, abs=0.01)
    stop.set()
    thread.join()
    # Asking the system about a thread that has ended is undefined and may crash the interpreter.
    assert machine.thread_cpu_s(thread) is None
