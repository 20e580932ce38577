"""The database is gone with its kernel, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import wait_until
from postgres_targets import (
    BUSY,
    GONE_WITHIN_S,
    READY,
    ROOT,
    answer,
    check_empty,
    check_killed,
    kernel,
    needs_embedded,
    own_shelf,
    says,
    using,
)

pytestmark = needs_embedded


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_shelf(monkeypatch) as folder:
        yield folder


@pytest.mark.parametrize("when", [0.0, "lab-pg-*/log", "lab-pg-*/data/postmaster.pid"])
def test_kernel_killed_while_it_starts_leaves_nothing(place: Path, when: str | float) -> None:
    check_killed(place, when)


@pytest.mark.long
@pytest.mark.parametrize("after_s", [number * 0.05 for number in range(20)])
def test_kernel_killed_at_many_moments_leaves_nothing(place: Path, after_s: float) -> None:
    check_killed(place, after_s)


def test_kernel_killed_in_a_query_leaves_nothing(place: Path) -> None:
    with kernel(BUSY, place) as process:
        assert says(process, 3) == "busy"
        process.kill()
        check_empty(place)


HOLD = """
import subprocess
from lab_apps.instruments import postgres
held = [postgres._running.line.fileno()]
print(subprocess.Popen(["sleep", "30"], pass_fds=held, stdout=-3, stderr=-3).pid, flush=True)
"""
FORK = """
if not (other := os.fork()):
    os.close(1)
    os.close(2)
    time.sleep(30)
    os._exit(0)
print(other, flush=True)
"""


def check_killed_beside(place: Path, other: str) -> None:
    with kernel(READY + other + "time.sleep(60)", place) as process:
        url, pid = says(process, 2), int(says(process))
        assert answer(url, "SELECT 1") == [(1,)]
        try:
            process.kill()
            process.wait()
            wait_until(lambda: using(place) == {pid}, 5)
            assert using(place) == {pid}
        finally:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("other", [HOLD, FORK], ids=["a holder", "a fork"])
def test_what_holds_the_line_does_not_keep_the_server(place: Path, other: str) -> None:
    check_killed_beside(place, other)


ENDS = {
    "an exception": "os.close(2); 1 / 0",
    "an exit without cleaning": "os._exit(1)",
    "an open pool": """
import psycopg_pool
pool = psycopg_pool.ConnectionPool(one.url, min_size=2, open=True)
pool.wait()
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left_by(place: Path, end: str) -> None:
    with kernel(READY + ENDS[end], place) as process:
        assert process.communicate()[1] == ""
        check_empty(place, GONE_WITHIN_S if "_exit" in ENDS[end] else 0)  # else it has waited


def test_nothing_is_said_in_an_empty_environment(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import tempfile; tempfile.tempdir = {str(place)!r}\n{READY}"],
        cwd=ROOT, env={}, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 2


FORKS = READY + """
child = os.fork()
if not child:
    try:
        assert database().url != one.url
    finally:
        sys.exit()  # with what is to be done at the end
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
import psycopg
psycopg.connect(one.url).close()
print("both worked")
"""  # fmt: skip


def test_fork_has_its_own_and_leaves_the_parents(place: Path) -> None:
    with kernel(FORKS, place) as process:
        assert says(process, 3) == "both worked"
        assert process.communicate()[1] == ""
