"""Notebooks while they are executed: their time, their progress, and no process after them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import code, scratch
from helpers import children, needs_proc, runs, wait_until

from lab_apps.report import execution
from lab_apps.report.progress import ProgressLine


def test_a_cell_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    root = scratch(tmp_path, n05_slow=[code("import time; time.sleep(60)")])
    done = execution.execute(root / "notebooks/05_slow.ipynb", env={}, cell_timeout_s=1)
    assert done.failure == "cell In [1]: not done after 1 s"
    assert done.seconds < 10


def test_a_kernel_that_does_not_start_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    root = scratch(tmp_path, n05_any=[code("1")])
    done = execution.execute(root / "notebooks/05_any.ipynb", env={}, cell_timeout_s=5)
    assert done.failure.startswith("the kernel did not start: ")
    assert "\n" not in done.failure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_updated_line_on_a_terminal() -> None:
    line = ProgressLine("05_x", terminal := Terminal())
    line.show(1, 3, 0.0)
    line.show(2, 3, 1.6)
    line.end("done in 2 s")
    shown = terminal.getvalue()
    assert shown.count("\n") == 1
    last = [text.removeprefix("\x1b[K") for text in shown.split("\r")]
    assert [text.split(maxsplit=1)[1] for text in last[1:]] == [
        "cell 1 of 3, 0 s",
        "cell 2 of 3, 2 s",
        "done in 2 s\n",
    ]


def test_progress_elsewhere_is_a_line_every_ten_seconds() -> None:
    line = ProgressLine("05_x", log := io.StringIO())
    for seconds in range(25):
        line.show(2, 3, float(seconds))
    line.end("done in 25 s")
    assert [text.split(maxsplit=1)[1] for text in log.getvalue().splitlines()] == [
        "cell 2 of 3, 10 s",
        "cell 2 of 3, 20 s",
        "done in 25 s",
    ]


ENDLESS = """from lab_apps.instruments import load
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import serve
from lab_apps.instruments.wire import Stream
with serve("lab_apps.instruments.calibration:create_app", where="process") as server:
    load.send(server.url, Stream("load", "/wait/10", closed(1, seconds=60)))"""


@needs_proc
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_survives_an_ended_run(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, how: signal.Signals
) -> None:
    """Not the kernel, nor the load worker and the server that a cell has started."""
    root = scratch(tmp_path, n05_endless=[code(ENDLESS)])
    command = "import sys, pathlib; from lab_apps.cli import main; "
    command += "sys.exit(main(['run'], root=pathlib.Path(sys.argv[1])))"
    going = subprocess.Popen(
        [sys.executable, "-c", command, str(root)],
        env={**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("t"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert wait_until(lambda: len(children(going.pid)) == 3, 20)
    mine = children(going.pid)
    going.send_signal(how)
    _, err = going.communicate(timeout=10)
    assert wait_until(lambda: not any(runs(pid) for pid in mine), 3)
    assert not (root / "report/index.html").exists()
    if how == signal.SIGINT:
        assert (going.returncode, err) == (130, "lab run: interrupted\n")
