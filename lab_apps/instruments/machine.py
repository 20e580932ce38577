"""What a result was measured on: versions, cores, load, and what this platform can't tell."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from lab_apps.instruments import postgres

PROC = Path("/proc")
DESCRIPTORS = 4096
IDLE_CORES = 1.5  # from which on two count as idle: a process that burns one leaves 1.0 of 2
IDLE_WINDOW_S = 0.15
SPEEDUP = 1.8  # of two processes over one; hardware threads of one core reach 1.2 to 1.7
COUNT_S, COUNT_TRIALS = 0.06, 7
COUNTING = """
import time
end, n, x = time.perf_counter() + {}, 0, 0
while time.perf_counter() < end:
    for i in range(1000):
        x += i * i % 7
    n += 1
print(n)
"""
SHARED, DISK = Path("/dev/shm"), Path("/var/tmp")
SHARED_BYTES = 48 * 2**20  # of 64 MiB, which containers often have

PACKAGES = (
    *("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "anyio", "pydantic", "httpx"),
    *("psycopg", "psycopg-pool", "sqlalchemy", "alembic", "email-validator"),
    *("openai", "httpx2", "procrastinate"),
)


def versions() -> dict[str, str]:
    """Version of Python, of the Postgres in use and of each package that decides a verdict.

    "-" for what is not installed, or not in use.
    """
    found = {"python": platform.python_version(), "postgres": postgres.version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "-"
    return found


def gil_enabled() -> bool:
    """Whether this interpreter holds a global lock now (a free-threaded build may still)."""
    check = getattr(sys, "_is_gil_enabled", None)
    return bool(check()) if check is not None else True


def usable_cores() -> int:
    """Number of cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """The machine as stored with every result: system, kernel, cores, load, Python, GIL."""
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cores": usable_cores(),
        "load_1min": round(os.getloadavg()[0], 2),
        "implementation": platform.python_implementation(),
        "gil": gil_enabled(),
        "switch_interval_ms": sys.getswitchinterval() * 1e3,
    }


def why_no_timing() -> str | None:
    """None where timing claims can be judged, else the reason they can't.

    A ratio claim rests on knowing how long the server's loop waited for a core, and only Linux
    says so (/proc/PID/task/TID/schedstat).
    """
    if run_queue_wait_s(os.getpid(), threading.get_native_id()) is None:
        return f"{platform.system()} does not say how long a thread waits for a core (no schedstat)"
    return None


# What a claim may need, and how a machine that lacks it says so ("" where it has it).
NEEDS: Mapping[str, Callable[[], str]] = {
    "gil": lambda: "" if gil_enabled() else "this interpreter has no GIL",
    "no gil": lambda: "this interpreter has a GIL" if gil_enabled() else "",
    "2 cores": lambda: "1 core, 2 needed" if usable_cores() < 2 else "",
    "2 idle cores": lambda: _too_few_idle(),
    "timing": lambda: why_no_timing() or "",
    "high-water mark": lambda: _memory().why_no_high_water(),
    "tmpfs": lambda: _no_tmpfs(),
    "disk": lambda: _no_disk(),
    "postgres": postgres.lacking,
    "pydantic.v1": lambda: _no_pydantic_1(),
    # What no machine has. A claim that needs it is stated, and left without a verdict.
    "readers": lambda: "it takes people, drawn at random and timed while they look for things",
    "small projects": lambda: "it takes the histories of projects that have a handful of domains",
    "two histories": lambda: "it takes the same project grown twice, once in each layout",
}


def lacks(needs: Iterable[str]) -> str | None:
    """Why this machine does not meet `needs`, with the value seen; None where it meets them all.

    Raises KeyError for a word that is not in `NEEDS`.
    """
    return next((why for why in [NEEDS[need]() for need in needs] if why), None)


def idle_cores() -> float | None:
    """How many of the usable cores were idle in the last 0.15 s, e.g. 1.9; None if not told.

    Time that something waited for a disk counts as idle. From /proc/stat (proc_stat(5)).
    """
    before_s = _idle_s()
    begun = time.perf_counter()
    time.sleep(IDLE_WINDOW_S)
    after_s, seconds = _idle_s(), time.perf_counter() - begun
    return None if before_s is None or after_s is None else (after_s - before_s) / seconds


def parallel_speedup() -> float:
    """How much more two Python processes compute than one: 2 on two cores of one's own.

    Less where cores are shared with what this system does not show: two that are hardware threads
    of one, or other guests of its host. The median of trials that take turns, `COUNT_S` each, since
    such a core's speed changes from one tenth of a second to the next.
    """
    return median(sum(_counts(2)) / _counts(1)[0] for _ in range(COUNT_TRIALS))


def _counts(processes: int) -> list[int]:
    """How far each of so many processes counts at the same time."""
    command = [sys.executable, "-I", "-S", "-c", COUNTING.format(COUNT_S)]
    counting = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    return [int(process.communicate()[0]) for process in counting]


def _idle_s() -> float | None:
    """Seconds that the usable cores have been idle since the start, added up."""
    usable = (
        {f"cpu{core}" for core in os.sched_getaffinity(0)}
        if hasattr(os, "sched_getaffinity")
        else set()
    )
    try:
        lines = [line.split() for line in (PROC / "stat").read_text().splitlines()]
    except OSError:
        return None
    ticks = sum(int(line[4]) + int(line[5]) for line in lines if line[0] in usable)
    return ticks / os.sysconf("SC_CLK_TCK")


def _too_few_idle() -> str:
    if usable_cores() < 2:
        return "1 core, 2 needed"
    idle = idle_cores()
    if idle is None:
        return f"{platform.system()} does not say whether cores are idle"
    if idle < IDLE_CORES:
        return f"{idle:.1f} of {usable_cores()} cores idle, 2 needed"
    speedup = parallel_speedup()
    if speedup < SPEEDUP:
        return f"two processes compute {speedup:.2f} times as much as one, {SPEEDUP} needed"
    return ""


def _memory() -> Any:
    # Which is built on this module.
    return importlib.import_module("lab_apps.instruments.memory")


def _no_pydantic_1() -> str:
    # Python 3.14 imports it and then, with a warning, fails at some models.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            v1 = importlib.import_module("pydantic.v1")
            v1.create_model("Tried", number=(int, 1))()
    except Exception as error:
        said = str(error).splitlines() or [""]
        return f"pydantic.v1 can't be used here: {type(error).__name__}: {said[0]}"
    return ""


def _no_disk() -> str:
    kind = _memory().filesystem(DISK)
    return f"{DISK} is on a {kind}, not on a disk" if kind in ("tmpfs", "unknown") else ""


def _no_tmpfs() -> str:
    if not (SHARED.is_mount() and (PROC / "meminfo").exists()):
        return f"no tmpfs at {SHARED} whose size {platform.system()} tells (/proc/meminfo)"
    free = os.statvfs(SHARED).f_bavail * os.statvfs(SHARED).f_frsize
    return "" if free >= SHARED_BYTES else f"{free >> 20} MiB free in {SHARED}, 48 needed"


def allow_descriptors() -> None:
    """Raise this process's soft limit on open files to `DESCRIPTORS`, as far as it may.

    macOS starts processes with 256, and every connection takes one at either end.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_queue_wait_s(pid: int, thread_id: int) -> float | None:
    """Seconds the thread has been ready to run and had no core; None where not told.

    Second field of schedstat: kernel.org, Documentation/scheduler/sched-stats.rst.
    """
    try:
        fields = (PROC / str(pid) / "task" / str(thread_id) / "schedstat").read_text().split()
    except OSError:
        return None
    return int(fields[1]) / 1e9


def thread_cpu_s(thread: threading.Thread) -> float | None:
    """CPU seconds used by a thread of this process; None once it has ended or where not told."""
    # To ask about a thread that has ended is undefined behaviour in C: it may crash the process.
    if not hasattr(time, "pthread_getcpuclockid") or not thread.is_alive():
        return None
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
