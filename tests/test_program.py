"""A program gets real signals, says what it has printed, and ends with a status at a time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from helpers import needs_proc, no_leftovers, runs, wait_until

from lab_apps.instruments.child import ChildError
from lab_apps.instruments.program import Program

SLEEPS = "import time\nprint('ready', flush=True)\ntime.sleep(60)\n"
HANDLES = """
import signal, sys, time
def handle(number, frame):
    print("handled", signal.Signals(number).name, time.perf_counter_ns(), flush=True)
    sys.exit(7)
for name in ("SIGTERM", "SIGINT"):
    signal.signal(getattr(signal, name), handle)
print("ready", flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("other", other.pid, flush=True)
time.sleep(60)
"""

pytestmark = needs_proc
Make: TypeAlias = Callable[..., Program]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a program of the source, with arguments, and environment variables as keywords."""

    def made(source: str, *arguments: str, **env: str) -> Program:
        (tmp_path / "written.py").write_text(source)
        return Program("written", *arguments, env={"PYTHONPATH": str(tmp_path), **env})

    return made


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    with no_leftovers():
        yield


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, -15), (signal.SIGINT, -2), (signal.SIGKILL, -9)]
)
def test_a_signal_ends_it(make: Make, number: signal.Signals, status: int) -> None:
    with make(SLEEPS) as program:
        program.wait_for("ready")
        before_ns = time.perf_counter_ns()
        signalled_ns = program.signal(number)
        ended_ns, seen = program.wait(5)
    assert seen == status
    assert before_ns <= signalled_ns <= ended_ns <= time.perf_counter_ns()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_its_own_handler_runs_after_the_signal_and_before_the_end(
    make: Make, number: signal.Signals
) -> None:
    with make(HANDLES) as program:
        program.wait_for("ready")
        signalled_ns = program.signal(number)
        ended_ns, status = program.wait(5)
        handled = program.wait_for(rf"handled {number.name} (\d+)", 0)
    assert status == 7
    assert signalled_ns < int(handled.group(1)) < ended_ns


def test_a_signal_reaches_it_alone(make: Make) -> None:
    """Neither what it has started nor this process, which Ctrl-C in a terminal would."""
    with make(PARENT) as program:
        other = int(program.wait_for(r"other (\d+)").group(1))
        assert os.getsid(other) == program.pid == os.getsid(program.pid) != os.getsid(0)
        program.signal(signal.SIGTERM)
        program.wait(5)
        time.sleep(0.1)
        assert runs(other)
    assert wait_until(lambda: not runs(other), 2)  # killed by the block's end


def test_a_program_that_ends_by_itself(make: Make) -> None:
    with make("import sys\nprint('said', *sys.argv[1:])\nsys.exit(3)", "a", "b c") as program:
        ended_ns, status = program.wait(10)
        assert status == 3
        assert ended_ns <= time.perf_counter_ns()
        assert program.said == "said a b c\n"
        with pytest.raises(ChildError, match=r"written a b c has ended with status 3: said a b c$"):
            program.signal(signal.SIGTERM)


def test_wait_takes_no_longer_than_allowed(make: Make) -> None:
    with make(SLEEPS) as program:
        program.wait_for("ready")
        with pytest.raises(TimeoutError, match=r"written has not ended after 0\.1 s"):
            program.wait(0.1)
        assert runs(program.pid)


def test_it_is_run_as_python_m_runs_it(make: Make) -> None:
    source = """
import sys
print(__name__, sys.argv, sys.modules["__main__"].__file__ == __file__, __spec__.name)
"""
    with make(source, "-x") as program:
        said = program.wait_for("(?m)(.*)\n$").group(1)
        file = program._env["PYTHONPATH"] + "/written.py"
    assert said == f"__main__ {[file, '-x']} True written"


def test_its_environment_is_this_ones_and_more(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEPT", "kept")
    monkeypatch.setenv("LAB_BOTH", "ours")
    source = "import os\nprint(*(os.environ[f'LAB_{name}'] for name in ('KEPT', 'BOTH', 'NEW')))"
    with make(source, LAB_BOTH="its", LAB_NEW="new") as program:
        program.wait_for("kept its new\n")
    assert os.environ["LAB_BOTH"] == "ours"
    assert "LAB_NEW" not in os.environ


def test_wait_for_gives_the_match_as_soon_as_it_is_said(make: Make) -> None:
    source = """
import sys, time
print("http://127.0.0.1:1", flush=True)
print("on standard error", file=sys.stderr, flush=True)
time.sleep(60)
"""
    with make(source) as program:
        assert program.wait_for(r"http://[\d.]+:(\d+)").group(1) == "1"
        program.wait_for("on standard error")
        assert program.said == "http://127.0.0.1:1\non standard error\n"


def test_wait_for_what_it_has_said_before_its_end(make: Make) -> None:
    with make("print('done')") as program:
        program.wait(10)
        assert program.wait_for("done", 0)
        with pytest.raises(ChildError, match=r"written has ended with status 0: done$"):
            program.wait_for("more")


def test_wait_for_tells_the_last_line_of_an_error(make: Make) -> None:
    with (
        make("print('begins')\nraise RuntimeError('no port')") as program,
        pytest.raises(ChildError, match=r"written has ended with status 1: RuntimeError: no port$"),
    ):
        program.wait_for("ready")


def test_wait_for_no_longer_than_allowed(make: Make) -> None:
    with make(SLEEPS) as program:
        program.wait_for("ready")
        with pytest.raises(TimeoutError, match=r"not printed 'more' after 0\.1 s: ready$"):
            program.wait_for("more", 0.1)


def test_a_module_that_does_not_exist() -> None:
    with (
        Program("no_such_module", "--port", "0") as program,
        pytest.raises(ChildError, match=r"no_such_module --port 0 .*No module named no_such_mod"),
    ):
        program.wait_for("ready")


def test_much_output_does_not_block_it(make: Make) -> None:
    source = "print(('x' * 999 + '\\n') * 3000, end='')\nprint('end', flush=True)"
    with make(source) as program:
        program.wait_for(r"end\n$", 10)
        assert len(program.said) == 3_000_004
        assert program.wait(10)[1] == 0


def test_what_it_says_need_not_be_text(make: Make) -> None:
    source = "import sys, time\nsys.stdout.buffer.write(b'\\xff end\\n')"
    with make(source) as program:
        assert program.wait_for("(.) end").group(1) == "\N{REPLACEMENT CHARACTER}"


def test_it_reads_nothing_of_this_process(make: Make) -> None:
    """Its stdin is the pipe that tells of this process's end; nothing is ever written to it."""
    with make(SLEEPS) as program:
        program.wait_for("ready")
        assert Path(f"/proc/{program.pid}/fd/0").readlink().name.startswith("pipe:")


USES: list[Callable[[Program], object]] = [
    lambda it: it.pid,
    lambda it: it.said,
    lambda it: it.wait_for("x"),
    lambda it: it.signal(signal.SIGTERM),
    lambda it: it.wait(1),
]


@pytest.mark.parametrize("use", USES, ids=["pid", "said", "wait_for", "signal", "wait"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_it_is_used_in_its_block_only(
    make: Make, use: Callable[[Program], object], when: str
) -> None:
    program = make("print('x')")
    if when == "after":
        with program:
            program.wait_for("x")
    with pytest.raises(ValueError, match="within its block only"):
        use(program)


def test_it_can_run_again(make: Make) -> None:
    program = make(SLEEPS)
    pids = set()
    for _ in range(2):
        with program:
            program.wait_for("ready")
            assert program.said == "ready\n"
            pids.add(program.pid)
    assert len(pids) == 2
