"""Memory over time: what a process fills, spools and frees is seen where it is."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import apps
import numpy as np
import pytest
from helpers import TESTS, no_leftovers, wait_until
from targets import OwnError

from lab_apps.instruments import footprint
from lab_apps.instruments.child import Child
from lab_apps.instruments.footprint import Footprint, Samples, why_no_footprint
from lab_apps.instruments.memory import filesystem
from lab_apps.instruments.server import Process, Server, serve

WHY_NOT = why_no_footprint()
SHM = "/dev/shm"
MANY = 10  # samples that are surely there before something is done, and after it

needs_footprint = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
needs_tmpfs = pytest.mark.skipif(filesystem(SHM) != "tmpfs", reason=f"needs a tmpfs at {SHM}")
needs_disk = pytest.mark.skipif(
    filesystem(tempfile.gettempdir()) in ("tmpfs", "unknown"),
    reason="needs temporary files on disk",
)


@pytest.fixture(autouse=True)
def _apps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@pytest.fixture
def home() -> Iterator[Process]:
    with Process() as process:
        yield process


@pytest.fixture
def one(home: Process) -> Iterator[Server]:
    with serve("apps:bare", where=home) as server:
        server.inside(apps.spool, 1, tempfile.gettempdir())  # imports, buffers
        server.inside(apps.let_go)
        yield server


def more_samples(watch: Footprint) -> None:
    before = len(watch.samples().at_ns)
    assert wait_until(lambda: len(watch.samples().at_ns) >= before + MANY, 20)


def watched(home: Process, server: Server, function: object, *args: object) -> Samples:
    """Samples of the process while it does something, and those after it has let it go."""
    assert home.pid is not None
    with Footprint(home.pid) as watch:
        more_samples(watch)
        server.inside(function, *args)  # type: ignore[arg-type]
        done_ns = time.perf_counter_ns()
        more_samples(watch)
        server.inside(apps.let_go)
        more_samples(watch)
    samples = watch.samples()
    assert samples.at_ns[-1] > done_ns
    assert (np.diff(samples.at_ns) > 0).all()
    return samples


@needs_footprint
def test_anonymous_memory(home: Process, one: Server) -> None:
    """It comes, it goes, and no file has to do with it."""
    seen = watched(home, one, apps.hold, 64)
    assert seen.anon_mib[0] == 0
    assert seen.anon_mib[:MANY] == pytest.approx(0, abs=1)
    assert seen.anon_mib.max() == pytest.approx(64, abs=1.5)
    assert seen.anon_mib[-1] == pytest.approx(0, abs=1.5)
    assert not seen.spooled_tmpfs_mib.any()
    assert not seen.spooled_disk_mib.any()


@needs_footprint
@needs_tmpfs
def test_spool_on_tmpfs(home: Process, one: Server) -> None:
    """32 MiB of shared memory and next to nothing that is the process's own."""
    runs = [watched(home, one, apps.spool, 32, SHM) for _ in range(3)]
    for seen in runs:
        assert seen.spooled_tmpfs_mib.max() == pytest.approx(32, abs=0.1)
        assert seen.spooled_tmpfs_mib[-1] == 0
        assert not seen.spooled_disk_mib.any()
        assert seen.anon_mib.max() < 4
    # The median, since it is the system's and others may use it meanwhile.
    assert median(seen.tmpfs_mib.max() for seen in runs) == pytest.approx(32, rel=0.1)
    assert median(seen.tmpfs_mib[-1] for seen in runs) == pytest.approx(0, abs=3)


@needs_footprint
@needs_disk
def test_spool_on_disk(home: Process, one: Server) -> None:
    """The same bytes are in the page cache, unless others make room there."""
    runs = [watched(home, one, apps.spool, 32, tempfile.gettempdir()) for _ in range(3)]
    for seen in runs:
        assert seen.spooled_disk_mib.max() == pytest.approx(32, rel=0.02)
        assert seen.spooled_disk_mib[-1] == 0
        assert not seen.spooled_tmpfs_mib.any()
        assert seen.anon_mib.max() < 4
    assert max(seen.cache_mib.max() for seen in runs) > 24
    assert min(seen.tmpfs_mib.max() for seen in runs) < 3


def test_numbers_of_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pages and KiB become MiB; shared memory is no part of the page cache."""

    def write(statm: str, cached_kib: int, shmem_kib: int) -> None:
        meminfo = (
            f"MemFree: 9 kB\nCached:  {cached_kib} kB\nSwapCached: 7 kB\nShmem: {shmem_kib} kB\n"
            "ShmemHugePages: 5 kB\n"
        )
        for file, text in ((own / "statm", statm), (tmp_path / "meminfo", meminfo)):
            (tmp_path / "new").write_text(text)
            (tmp_path / "new").rename(file)  # nobody reads half of it

    (own := tmp_path / "4194305").mkdir()  # beyond the highest process id
    (own / "fd").mkdir()
    (tmp_path / "self").mkdir()
    (tmp_path / "self/statm").touch()
    page = resource.getpagesize()
    write("900 300 100 1 0 1 0", 50_000, 20_000)
    monkeypatch.setattr(footprint, "PROC", tmp_path)
    with Footprint(4194305) as watch:
        more_samples(watch)
        write("900 700 200 1 0 1 0", 80_720, 40_480)
    seen = watch.samples()
    assert seen.anon_mib[-1] == 300 * page / 2**20
    assert seen.tmpfs_mib[-1] == 20
    assert seen.cache_mib[-1] == 10


@needs_footprint
def test_file_with_a_name(home: Process, one: Server, tmp_path: Path) -> None:
    """It is no part of the process, which would leave it behind."""
    seen = watched(home, one, apps.spool, 2, str(tmp_path), True)
    assert not seen.spooled_tmpfs_mib.any()
    assert not seen.spooled_disk_mib.any()


@needs_footprint
@pytest.mark.parametrize("reaped", [False, True])
def test_process_that_ends_meanwhile(reaped: bool) -> None:
    """The samples end there: none of them is of a process that has no memory any more."""
    child = Child("targets:sleep_and_say")
    pid = child.call(0)
    with no_leftovers(), Footprint(pid) as watch:
        more_samples(watch)
        if reaped:
            child.close()
        else:
            os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not watch._thread.is_alive(), 5)
        count = len(watch.samples().at_ns)
    assert len(watch.samples().at_ns) == count
    assert watch.samples().anon_mib.min() > -1
    child.close()


@needs_footprint
@pytest.mark.usefixtures("one")
def test_nothing_is_left(home: Process) -> None:
    def fails(pid: int) -> None:
        with Footprint(pid):
            assert any(thread.name == "lab footprint" for thread in threading.enumerate())
            raise OwnError

    assert home.pid is not None
    with no_leftovers():
        with pytest.raises(OwnError):
            fails(home.pid)
        with Footprint(home.pid) as watch:
            pass
    assert len(watch.samples().at_ns) >= 2  # the first and the last


def test_since() -> None:
    count = np.arange(4)
    growth = [np.array(count * (column + 0.5), dtype=np.float64) for column in range(5)]
    samples = Samples(count * 10, *growth)
    late = samples.since(20)
    assert late.at_ns.tolist() == [20, 30]
    assert late.anon_mib.tolist() == [1.0, 1.5]
    assert late.cache_mib.tolist() == [9.0, 13.5]


def test_wrong_use() -> None:
    with pytest.raises(ValueError, match=f"{os.getpid()} is this one"):
        Footprint(os.getpid())
    with pytest.raises(ValueError, match="no samples yet"):
        Footprint(1).samples()


@needs_footprint
def test_no_such_process() -> None:
    child = Child("targets:sleep_and_say")
    pid = child.call(0)
    child.close()
    with pytest.raises(ValueError, match=f"no process {pid}"), Footprint(pid):
        pytest.fail("the block must not run")


def test_no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(footprint, "PROC", tmp_path)
    assert "does not tell" in why_no_footprint()
    with pytest.raises(RuntimeError, match="does not tell"), Footprint(1):
        pytest.fail("the block must not run")
