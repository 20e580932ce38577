"""What a result was measured on: versions, cores, load, and what this platform can't tell."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

PROC = Path("/proc")
DESCRIPTORS = 4096

PACKAGES = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "anyio", "pydantic", "httpx")


def versions() -> dict[str, str]:
    """Version of Python and of each package that decides a verdict; "-" where not installed."""
    found = {"python": platform.python_version()}
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
