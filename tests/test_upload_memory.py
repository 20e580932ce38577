"""What each way to save an upload takes in memory: four of 32 MiB at once, the spool on a disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from hashlib import sha256

import pytest

from lab_apps.instruments import load, memory
from lab_apps.instruments.intake import multipart, multipart_type
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Process, Server, serve
from lab_apps.instruments.wire import Stream

MIB = memory.MIB
CONTENT = os.urandom(MIB) * 32
AT_ONCE = 4
DEF_COPY_MIB = 12
METHOD: memory.Method = "traced" if memory.why_no_high_water() else "high water"

pytestmark = pytest.mark.skipif(
    memory.filesystem("/var/tmp") == "tmpfs", reason="needs a temporary folder on a disk"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with (
        Process({"TMPDIR": "/var/tmp"}) as home,
        serve("lab_apps.practices.uploads:app", where=home) as one,
    ):
        memory.peak(one, lambda: send(one, "/read-whole"), method=METHOD)  # starts threads
        yield one


def send(server: Server, path: str) -> None:
    """Four uploads at once, answers checked."""
    saved = {"size": len(CONTENT), "sha256": sha256(CONTENT).hexdigest()}
    raw = path.startswith(("/body", "/stream"))
    kind = ("Content-Type", "application/octet-stream") if raw else multipart_type()
    stream = Stream(
        "upload",
        path,
        closed(AT_ONCE, requests=AT_ONCE),
        json.dumps(saved, separators=(",", ":")).encode(),
        method="POST",
        headers=(kind,),
        body=CONTENT if raw else multipart(CONTENT),
    )
    assert load.send(server.url, stream, warm_up=0).errors == {}


def check_bounded(server: Server, path: str, mib: int = 8) -> None:
    """At most so many MiB above idle."""
    assert memory.peak(server, lambda: send(server, path), method=METHOD) <= mib


@pytest.mark.parametrize("path", ["/chunks-1-mib", "/chunks-64-kib", "/stream"])
def test_chunks_bound_memory(server: Server, path: str) -> None:
    check_bounded(server, path)


def test_copying_in_a_thread_bounds_memory(server: Server) -> None:
    """Two chunks of 1 MiB alive in each of four, the next and the last, and what is spooled."""
    check_bounded(server, "/def-copy", DEF_COPY_MIB)


@pytest.mark.parametrize("path", ["/chunks-50-mib", "/read-whole", "/body"])
def test_check_sees_a_way_that_does_not(server: Server, path: str) -> None:
    with pytest.raises(AssertionError):
        check_bounded(server, path, DEF_COPY_MIB)


@pytest.mark.parametrize("path", ["/file-bytes", "/read-whole"])
def test_whole_reads_take_size_times_in_flight(server: Server, path: str) -> None:
    """Each holds its bytes until all have read."""
    together = f"{path}?together={AT_ONCE}"
    mib = memory.peak(server, lambda: send(server, together), method=METHOD)
    assert mib == pytest.approx(AT_ONCE * 32, rel=0.1)
