"""The lab in a real kernel: cells that are interrupted, and a kernel that is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import children, needs_proc, runs, wait_until
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

GONE_WITHIN_S = 2.0
PRELUDE = """
import os
from lab_apps.instruments import load
from lab_apps.instruments.calibration import OK
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import serve
from lab_apps.instruments.wire import Stream
CALIBRATION = "lab_apps.instruments.calibration:create_app"
one = Stream("one", "/null", closed(2, requests=20), OK)
endless = Stream("endless", "/wait/50", closed(2, seconds=60), OK)
"""
LOADED = """
with serve(CALIBRATION{where}) as server:
    print(load.send(server.url, one).errors, load.worker_pid(), server.url)
"""
INTERRUPTED = LOADED + "    load.send(server.url, endless)\n"


class Kernel:
    """A kernel of this interpreter, talked to over Unix sockets."""

    def __init__(self, folder: Path) -> None:
        self.file = str(folder / "kernel.json")
        write_connection_file(self.file, transport="ipc", ip=str(folder / "ipc"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ipykernel_launcher", "-f", self.file],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.client: Any = BlockingKernelClient(connection_file=self.file)
        self.client.load_connection_file()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=30)

    def run(self, code: str) -> str:
        """The output of a cell."""
        self.asked = self.client.execute(code)
        return self.rest()

    def begin(self, code: str, until: str) -> str:
        """The output of a cell that has printed `until` and goes on."""
        self.asked = self.client.execute(code)
        return self.rest(until)

    def rest(self, until: str = "(?!)") -> str:
        """What the cell prints from here to its end, or to `until`."""
        output = ""
        while not re.search(until, output):
            message = self.client.get_iopub_msg(timeout=30)
            if message["parent_header"].get("msg_id") != self.asked:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                output += content["text"]
            elif message["msg_type"] == "error":
                output += f"{content['ename']}\n"
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                break
        return output

    def close(self) -> None:
        self.client.stop_channels()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    one = Kernel(tmp_path)
    yield one
    one.close()


@needs_proc
def test_interrupted_cells_then_killed_kernel(kernel: Kernel) -> None:
    """The stop button mid-load, for both kinds of server; then SIGKILL mid-load."""
    assert kernel.run(PRELUDE) == ""
    workers = []
    for where in ("", ", where='process'"):
        output = kernel.begin(INTERRUPTED.format(where=where), r"127.0.0.1:\d+\n")
        errors, worker, _ = output.split()
        assert errors == "{}"
        workers.append(int(worker))
        assert runs(int(worker))
        time.sleep(0.15)  # into the endless load
        kernel.process.send_signal(signal.SIGINT)
        assert kernel.rest() == "KeyboardInterrupt\n"
        assert children(kernel.process.pid) == set()
        assert not any(runs(pid) for pid in workers)

    # And a whole experiment works again.
    assert kernel.run(LOADED.format(where="")).startswith("{} ")
    last = INTERRUPTED.format(where=", where='process'")
    output = kernel.begin(last, r"127.0.0.1:\d+\n")
    time.sleep(0.15)
    everything = children(kernel.process.pid)
    assert len(everything) == 2  # the server and the load worker
    assert int(output.split()[1]) in everything
    os.kill(kernel.process.pid, signal.SIGKILL)
    assert wait_until(lambda: not any(runs(pid) for pid in everything), GONE_WITHIN_S)
