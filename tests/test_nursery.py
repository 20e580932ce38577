"""What programs are forked from: what a program has of it, and what becomes of both."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest
from helpers import children, needs_proc, no_leftovers, runs, wait_until

from lab_apps.instruments import nursery
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.program import Program

pytestmark = needs_proc
SLEEPS = "import time\nprint('ready')\ntime.sleep(60)\n"
Make: TypeAlias = Callable[[str], Program]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a program of the source."""

    def made(source: str) -> Program:
        (tmp_path / "written.py").write_text(source)
        return Program("written", env={"PYTHONPATH": str(tmp_path)})

    return made


def said(make: Make, expression: str) -> str:
    """What a program prints of it."""
    source = f"import os, sys, signal, threading\nprint({expression})\nprint('end')"
    with make(source) as program:
        return program.wait_for("(?s)(.*)\nend").group(1)


def descriptors(pid: int) -> int:
    """How many it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is imported before the fork there")
def test_a_program_has_the_packages_and_nothing_of_ours(make: Make) -> None:
    assert said(make, "'fastapi' in sys.modules, 'uvicorn' in sys.modules") == "True True"
    ours = "sorted(name for name in sys.modules if name.startswith('lab_apps.'))"
    expected = ["lab_apps.instruments", "lab_apps.instruments.child"]
    assert said(make, ours) == str(expected)


def test_a_program_has_nothing_else_of_what_it_was_forked_from(make: Make) -> None:
    """Signals, descriptors and threads are those of a new process, but for the one that watches."""
    assert said(make, "signal.set_wakeup_fd(-1), signal.getsignal(signal.SIGCHLD)") == "-1 0"
    assert said(make, "signal.getsignal(signal.SIGINT) is signal.default_int_handler") == "True"
    assert said(make, "sorted(int(name) for name in os.listdir('/proc/self/fd'))") == "[0, 1, 2, 3]"
    assert said(make, "threading.active_count()") == "2"


def test_a_program_has_this_processs_folder(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nursery.begin()  # in another folder
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert said(make, "os.getcwd(), sys.path[0]") == f"{tmp_path}/here {tmp_path}/here"


def test_a_variable_that_is_gone_here_is_gone_there(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    nursery.end()
    monkeypatch.setenv("LAB_ONCE", "set")
    assert said(make, "os.environ.get('LAB_ONCE')") == "set"
    monkeypatch.delenv("LAB_ONCE")
    assert said(make, "os.environ.get('LAB_ONCE')") == "None"


def test_programs_of_several_threads_keep_apart(make: Make) -> None:
    program = make("import sys\nprint(sys.argv[1])\nsys.exit(int(sys.argv[1]))")

    def one(number: int) -> tuple[str, int]:
        with Program("written", str(number), env=program._env) as running:
            status = running.wait(20)[1]
            return running.said, status

    with no_leftovers(), ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(24))) == [(f"{n}\n", n) for n in range(24)]


def test_twenty_programs_leave_nothing_in_it(make: Make) -> None:
    with make(SLEEPS) as program:
        program.wait_for("ready")
    pid = nursery.begin()._process.pid
    before = descriptors(pid)
    for number in range(20):
        with make(SLEEPS if number % 2 else "print('ready')") as program:
            program.wait_for("ready")
    # The first one's pipe may have been open still when it was counted.
    assert wait_until(lambda: descriptors(pid) <= before and not children(pid), 5)


def test_one_that_is_forgotten_ends_and_the_others_go_on(make: Make) -> None:
    """As after an interrupt: nobody reads how it ended."""
    with make(SLEEPS) as program, tempfile.TemporaryFile() as output:
        program.wait_for("ready")
        forked = nursery.fork(["written"], os.environ | program._env, output)
        forked.close()
        assert wait_until(lambda: not runs(forked.pid), 2)
        assert program.wait_for("ready")
        assert runs(program.pid)
    assert said(make, "'and forks more'") == "and forks more"


def test_where_it_is_killed_its_programs_end_and_another_takes_its_place(make: Make) -> None:
    with no_leftovers():
        with make(SLEEPS) as program:
            program.wait_for("ready")
            nursery.begin()._process.kill()
            with pytest.raises(ChildError, match="forked from has been killed"):
                program.wait(5)
            assert wait_until(lambda: not runs(program.pid), 2)
        with make(SLEEPS) as program:
            program.wait_for("ready")
            program.signal(signal.SIGTERM)
            assert program.wait(5)[1] == -signal.SIGTERM
        nursery.end()


def test_its_end_is_that_of_its_programs(make: Make) -> None:
    with no_leftovers(), make(SLEEPS) as program:
        program.wait_for("ready")
        nursery.end()
        assert wait_until(lambda: not runs(program.pid), 2)
