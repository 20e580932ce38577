"""Nothing but loopback and Unix sockets is needed; no library asks for a name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import TESTS

from lab_apps.instruments.results import REFERENCE, ROOT, read

UNSHARE = ("unshare", "--net", "--mount")
LIMIT_S = 300

needs_unshare = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*UNSHARE, "true"], capture_output=True).returncode != 0,
    reason="this account may not make a network of its own (unshare --net)",
)


class Ended(NamedTuple):
    """A command's exit status, what it printed, and the names it asked a name server for."""

    status: int
    printed: str
    names: set[str]


def on_loopback(folder: Path, *command: str, **env: str) -> Ended:
    notes = folder / "names"
    notes.touch()
    ended = subprocess.run(
        [*UNSHARE, sys.executable, str(TESTS / "loopback_only.py"), str(notes), *command],
        cwd=ROOT / "notebooks",
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    return Ended(ended.returncode, ended.stdout, set(notes.read_text().split()))


@needs_unshare
@pytest.mark.parametrize(
    "asks",
    [
        "socket.getaddrinfo('asked.example.org', 80)",
        "uvloop.run(asyncio.open_connection('asked.example.org', 80))",
        "psycopg.connect('host=asked.example.org')",
    ],
)
def test_question_is_noted_whatever_library_asks(asks: str, tmp_path: Path) -> None:
    code = f"import asyncio, psycopg, socket, uvloop\n{asks}"
    ended = on_loopback(tmp_path, sys.executable, "-c", code)
    assert ended.names == {"asked.example.org"}, ended.printed
    assert ended.status == 1


@needs_unshare
def test_other_addresses_are_out_of_reach_and_loopback_is_not(tmp_path: Path) -> None:
    code = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
try:
    socket.create_connection(("192.0.2.1", 80), 2)
except OSError as error:
    print(error.strerror)
"""
    assert on_loopback(tmp_path, sys.executable, "-c", code) == (
        0,
        "Network is unreachable\n",
        set(),
    )


SDK = """
import httpx
from lab_apps.instruments.server import serve
from lab_apps.practices.sync_sdk import create_app

with serve("lab_apps.practices.sync_sdk.upstream:create_app", where="process") as upstream:
    app = create_app(upstream.url)
    with serve(app) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        for path in app.openapi()["paths"]:
            print(path, client.get(f"{path}?latency_ms=1").status_code)
"""

QUEUE = """
from lab_apps.instruments import postgres, queue_stops, stops
from lab_apps.instruments.queue_stops import Queue

NAME = "lab_apps.practices.background_tasks"
queue = Queue(f"{NAME}.queued:app", f"{NAME}.jobs.queue", "%.deliver%")
seen = (queue, postgres.database(), "/queue?seconds=0.1", stops.at_once(4))
print(queue_stops.spread(*seen, workers=1, concurrency=4).states)
postgres.stop()
"""


@needs_unshare
@pytest.mark.parametrize(("code", "says"), [(SDK, "/chat/async 200"), (QUEUE, "{'succeeded': 4}")])
def test_specimens_need_no_network_and_ask_for_no_name(
    code: str, says: str, tmp_path: Path
) -> None:
    ended = on_loopback(tmp_path, sys.executable, "-c", code)
    assert says in ended.printed
    assert (ended.status, ended.names) == (0, set()), ended.printed


@pytest.mark.long
@needs_unshare
@pytest.mark.parametrize("name", ["07_background_tasks", "10_sync_sdk"])
def test_notebook_needs_no_network_and_asks_for_no_name(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    execute = ("-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir", str(tmp_path))
    ended = on_loopback(tmp_path, sys.executable, *execute, f"{name}.ipynb", LAB_RUN_FILE=str(run))
    assert ended.status == 0, ended.printed
    assert ended.names == set()
    practice = f"{int(name[:2])}."
    stored = {e["id"]: e["outcome"] for e in read(REFERENCE) if e["id"].startswith(practice)}
    now = {e["id"]: e["outcome"] for e in map(json.loads, run.read_text().splitlines())}
    assert now.keys() == stored.keys()
    opposite = {("supported", "refuted"), ("refuted", "supported")}
    assert not [claim for claim in now if (now[claim], stored[claim]) in opposite]
