"""Peak memory of what happens in a server's process, by two methods that check each other."""

from __future__ import annotations

import ctypes
import functools
import gc
import math
import os
import platform
import re
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from lab_apps.instruments.server import Server

Method: TypeAlias = Literal["traced", "high water"]

MIB = 2**20
SELF = Path("/proc/self")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
THRESHOLD_BYTES = 128 * 1024  # what both are before glibc begins to adjust them
DISAGREE_SHARE, DISAGREE_MIB = 0.15, 1.0
LOOK_S, ALIKE, SETTLED_MIB, MOST_LOOKS = 0.01, 4, 0.1, 300  # a look each 10 ms, four alike

_begun: tuple[Method, float] | None = None  # the pass of this process, MiB resident before it


def set_allocator() -> bool:
    """Let this process's allocator give back what is free; False where there is no glibc.

    glibc raises its threshold for mmap to the size of what is freed, up to 32 MiB, and a thread
    other than the main one then keeps that much: the first request shows a peak, later ones none.
    Setting M_MMAP_THRESHOLD and M_TRIM_THRESHOLD ends that (mallopt(3)), and can't be undone. It
    makes large allocations slower, so latency is better measured in another process.

    What is free amid small objects is given back now, by malloc_trim(3): a large allocation would
    find room there, and touch no new page.
    """
    libc = _glibc()
    if libc is None:
        return False
    libc.malloc_trim(0)
    return all(
        libc.mallopt(option, THRESHOLD_BYTES) for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD)
    )


def why_no_high_water() -> str:
    """Why this process has no high-water mark that can be reset; "" where it has one."""
    try:
        os.close(os.open(SELF / "clear_refs", os.O_WRONLY))
    except OSError as error:
        return f"no high-water mark on {platform.system()}: {error.filename}: {error.strerror}"
    if _glibc() is None:
        return (
            f"no high-water mark on {platform.system()}: only glibc's malloc can be told to give"
            " memory back, and this is another"
        )
    return ""


def begin(method: Method, allocator: bool = True) -> None:
    """Begin a pass of this process, in place of one that was not ended by `peak_mib()`.

    "traced": tracemalloc, which sees what Python and numpy allocate, touched or not, and nothing
    that C libraries do. It slows allocation down more than twofold.

    "high water": VmHWM after a reset by a 5 written to clear_refs (proc_pid_clear_refs(5)), which
    sees every page touched, less what was resident before, once that has settled. Calls
    `set_allocator()`, unless `allocator` is False. The resident size is the exact one of
    smaps_rollup: VmRSS of status equals it on Linux 6.18 but is approximate on older kernels. VmHWM
    is kept from counters that lag behind by up to 32 pages, 128 KiB, on each core (twice the number
    of cores beyond 16).

    Raises ValueError for another word, RuntimeError with the reason where there is no such mark,
    TimeoutError where the process's memory goes on changing.
    """
    global _begun
    tracemalloc.stop()
    gc.collect()
    before_mib = 0.0
    if method == "traced":
        tracemalloc.start(1)
    elif method == "high water":
        if why := why_no_high_water():
            raise RuntimeError(why)
        if allocator:
            set_allocator()
        before_mib = _settled_mib()
        (SELF / "clear_refs").write_text("5")
    else:
        raise ValueError(f'a peak is "traced" or "high water", not {method!r}')
    _begun = method, before_mib


def peak_mib() -> float:
    """End the pass; return its peak, in MiB above what was there when it began.

    Raises ValueError where none has begun.
    """
    global _begun
    if _begun is None:
        raise ValueError("no pass to end: begin(method) comes first")
    (method, before_mib), _begun = _begun, None
    if method == "high water":
        return _kib("status", "VmHWM") / 1024 - before_mib
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak_bytes / MIB


def peak(
    server: Server, request: Callable[[], object], *, method: Method, allocator: bool = True
) -> float:
    """Peak of the server's process while `request()` runs, in MiB above what was there before.

    nan, and no request, where that process can't tell: `why_no_high_water` says why. All that
    the process does meanwhile counts: of a server in a thread, the caller too. It is the peak of
    one request only where one is in flight. The first peak after `set_allocator()` may miss what a
    thread had free before. Raises ValueError for a server of several processes.
    """
    if method == "high water" and server.inside(why_no_high_water):
        return math.nan
    server.inside(begin, method, allocator)
    try:
        request()
    finally:
        mib = server.inside(peak_mib)
    return mib


@dataclass(frozen=True)
class Peak:
    """Peaks of the same request by both methods, in MiB above what was there, one per repeat.

    `why_not` is the reason where `high_water_mib` are nan.
    """

    traced_mib: tuple[float, ...]
    high_water_mib: tuple[float, ...]
    why_not: str = ""

    @property
    def disagree(self) -> bool:
        """Whether the medians differ by more than 15% of the traced one and 1 MiB."""
        traced_mib, high_water_mib = median(self.traced_mib), median(self.high_water_mib)
        return abs(high_water_mib - traced_mib) > DISAGREE_SHARE * traced_mib + DISAGREE_MIB

    @property
    def note(self) -> str:
        """What to say beside the number: why there is one method, why two disagree; else ""."""
        if not self.disagree:
            return self.why_not
        traced_mib, high_water_mib = median(self.traced_mib), median(self.high_water_mib)
        return f"{traced_mib:.1f} MiB traced, {high_water_mib:.1f} MiB resident: " + (
            "a C library allocates"
            if high_water_mib > traced_mib
            else "not all that is allocated is touched, or it takes the place of what was freed"
        )


def peaks(server: Server, request: Callable[[], object], repeats: int = 3) -> Peak:
    """The request's `peak` by both methods, `repeats` times each, after one that is discarded."""
    server.inside(set_allocator)
    request()
    traced_mib, high_water_mib = (
        tuple(peak(server, request, method=method) for _ in range(repeats))
        for method in ("traced", "high water")
    )
    return Peak(traced_mib, high_water_mib, server.inside(why_no_high_water))


@dataclass(frozen=True)
class Slope:
    """A line through peaks: MiB for each request in flight, MiB for none, share explained."""

    mib_each: float
    base_mib: float
    r2: float


def slope(points: Mapping[int, float]) -> Slope:
    """The least-squares line through peaks in MiB by requests in flight, such as 1, 4 and 16.

    The process has one counter, so the memory of one request among others is known by this only.
    `r2` is nan where all peaks are equal. Raises ValueError for fewer than three points.
    """
    if len(points) < 3:
        raise ValueError(f"a line needs three points to be judged by, not {len(points)}")
    in_flight, mib = np.array(list(points)), np.array(list(points.values()))
    mib_each, base_mib = np.polyfit(in_flight, mib, 1)
    unexplained = float(np.sum((mib - mib_each * in_flight - base_mib) ** 2))
    spread = float(np.sum((mib - mib.mean()) ** 2))
    r2 = 1 - unexplained / spread if spread else math.nan
    return Slope(float(mib_each), float(base_mib), r2)


class Mount(NamedTuple):
    """A file system's device number (as `st_dev`), where it is mounted, and its type."""

    device: int
    point: Path
    kind: str


def mounts() -> list[Mount]:
    """What is mounted, in order; empty where /proc/self/mountinfo does not exist.

    Its format: proc_pid_mountinfo(5).
    """
    try:
        lines = (SELF / "mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split()
        major, minor = map(int, fields[2].split(":"))
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        kind = fields[fields.index("-", 6) + 1]
        found.append(Mount(os.makedev(major, minor), Path(point), kind))
    return found


def filesystem(path: str | os.PathLike[str]) -> str:
    """Type of the file system that `path` is on, such as "tmpfs" or "ext4"; "unknown" if not told.

    What is spooled to tmpfs is memory, and no part of any process's.
    """
    real = Path(path).resolve()
    above = [mount for mount in mounts() if real.is_relative_to(mount.point)]
    # Of two mounts at one point the later hides the earlier.
    longest = max(reversed(above), key=lambda mount: len(mount.point.parts), default=None)
    return longest.kind if longest else "unknown"


def _settled_mib() -> float:
    """MiB resident after looks that hardly differ: what a request held goes after its answer.

    Raises TimeoutError where it goes on changing.
    """
    looks_mib: list[float] = []
    for _ in range(MOST_LOOKS):
        looks_mib.append(_kib("smaps_rollup", "Rss") / 1024)
        last_mib = looks_mib[-ALIKE:]
        if len(last_mib) == ALIKE and max(last_mib) - min(last_mib) < SETTLED_MIB:
            return looks_mib[-1]
        time.sleep(LOOK_S)
    raise TimeoutError(f"memory goes on changing after {MOST_LOOKS * LOOK_S:g} s: {last_mib} MiB")


def _kib(file: str, name: str) -> int:
    for line in (SELF / file).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ValueError(f"{SELF / file} has no {name}")


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
