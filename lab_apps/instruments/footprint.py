"""Memory over time: a process's own, its temporary files, and the system's shared and cached."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import resource
import stat
import threading
import time
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lab_apps.instruments.machine import PROC
from lab_apps.instruments.memory import MIB, mounts

INTERVAL_S = 0.005
BLOCK_BYTES = 512  # the unit of st_blocks: inode(7)
_CACHED = re.compile(r"^(Cached|Shmem):\s+(\d+) kB", re.MULTILINE)

Mebibytes: TypeAlias = npt.NDArray[np.float64]


def why_no_footprint() -> str:
    """Why memory over time can't be sampled here; "" where it can."""
    if (PROC / "self/statm").exists() and (PROC / "meminfo").exists():
        return ""
    return f"{platform.system()} does not tell a process's memory as Linux does, in /proc"


@dataclass(frozen=True)
class Samples:
    """Samples of a `Footprint`, in order: `at_ns` (perf_counter_ns) and growth since it began.

    Of the process: `anon_mib` is its anonymous memory; `spooled_tmpfs_mib` and `spooled_disk_mib`
    are the files on tmpfs and elsewhere that it has open and that have no name any more, as
    Python's temporary files have none. Of the whole system, with all that others do meanwhile:
    `tmpfs_mib` is shared memory, to which every tmpfs belongs, `cache_mib` the page cache.
    """

    at_ns: npt.NDArray[np.int64]
    anon_mib: Mebibytes
    spooled_tmpfs_mib: Mebibytes
    spooled_disk_mib: Mebibytes
    tmpfs_mib: Mebibytes
    cache_mib: Mebibytes

    def since(self, start_ns: int) -> Samples:
        """The samples from `start_ns` on; growth is still that since the footprint began."""
        keep = self.at_ns >= start_ns
        return Samples(*(getattr(self, field.name)[keep] for field in fields(self)))


class Footprint:
    """Samples of a process's memory about every 5 ms while the block runs, from a thread here.

    `anon_mib` is resident less shared of /proc/PID/statm (proc_pid_statm(5)). On Linux 6.18 that is
    exact; older kernels keep it in counters that lag behind by up to 32 pages on each core.
    smaps_rollup is exact on all, but walks the page tables with the process's memory locked: 1 ms
    for a small server and 10 ms for one of 256 MiB, to 0.02 ms for statm. A sample takes some
    0.25 ms of this process's time. Where the process ends the samples do.

    Raises ValueError for this process, whose servers the thread would disturb, and on entry for
    one that is not there or is another user's; RuntimeError where `why_no_footprint()` says why.
    """

    def __init__(self, pid: int) -> None:
        if pid == os.getpid():
            raise ValueError(
                f"process {pid} is this one, which the sampling would disturb: serve in another"
            )
        self._pid = pid
        self._tmpfs = {mount.device for mount in mounts() if mount.kind == "tmpfs"}
        self._rows: list[tuple[int, ...]] = []  # as the fields of Samples, but bytes, not growth
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lab footprint", daemon=True)

    def __enter__(self) -> Footprint:
        """Take the sample that growth is counted from, and go on."""
        if why := why_no_footprint():
            raise RuntimeError(why)
        if not self._sample():
            raise ValueError(f"there is no process {self._pid} of this user to sample")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take a last sample."""
        self._over.set()
        self._thread.join()
        self._sample()

    def samples(self) -> Samples:
        """All samples so far. Raises ValueError before the block."""
        if not self._rows:
            raise ValueError("no samples yet: with Footprint(pid) as watch: ...")
        rows = np.array(self._rows, dtype=np.int64)
        return Samples(rows[:, 0], *((rows[:, 1:] - rows[0, 1:]) / MIB).T)

    def _run(self) -> None:
        while not self._over.wait(INTERVAL_S) and self._sample():
            pass

    def _sample(self) -> bool:
        """Add a sample; False, and none, where the process has ended."""
        at_ns = time.perf_counter_ns()
        try:
            anon = _anonymous(self._pid)
            spooled = self._spooled()
        except OSError:
            return False
        if anon is None:
            return False
        kib = dict(_CACHED.findall((PROC / "meminfo").read_text()))
        shared, cached = int(kib["Shmem"]) * 1024, int(kib["Cached"]) * 1024
        self._rows.append((at_ns, anon, *spooled, shared, cached - shared))
        return True

    def _spooled(self) -> tuple[int, int]:
        """Bytes that the process's open files without a name take: on tmpfs, and elsewhere."""
        tmpfs = disk = 0
        folder = f"{PROC}/{self._pid}/fd"
        for name in os.listdir(folder):  # noqa: PTH208 (pathlib takes twice the time)
            with contextlib.suppress(FileNotFoundError):  # closed by now
                file = os.stat(f"{folder}/{name}")  # noqa: PTH116
                if stat.S_ISREG(file.st_mode) and file.st_nlink == 0:
                    if file.st_dev in self._tmpfs:
                        tmpfs += file.st_blocks * BLOCK_BYTES
                    else:
                        disk += file.st_blocks * BLOCK_BYTES
        return tmpfs, disk


def _anonymous(pid: int) -> int | None:
    """Bytes of the process's anonymous memory; None of a zombie, which has none at all."""
    size, resident, shared, *_ = (PROC / str(pid) / "statm").read_text().split()
    return (int(resident) - int(shared)) * resource.getpagesize() if size != "0" else None
