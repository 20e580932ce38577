"""`lab doctor`: is everything here that the lab needs, and if not, what to do."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import nbformat

from lab_apps.instruments import claims, load, machine, postgres
from lab_apps.instruments.calibration import OK, create_app
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import serve
from lab_apps.instruments.trial import percentile_ms
from lab_apps.instruments.wire import Stream
from lab_apps.report import execution
from lab_apps.report.files import Checkout

OLDEST = (3, 11)
FLOOR_MS = 2.0
FLOOR_REQUESTS = 200
DISTRIBUTION = "fastapi-practices-lab"

Finding: TypeAlias = tuple[str, str]  # "OK", "FAIL" (then with the remedy) or "--", and the text


def examine(checkout: Checkout) -> Iterator[Finding]:
    """Every finding, as soon as it is made. A check that raises is a FAIL with its reason."""
    checks = {
        "Python": _python(),
        "packages": _packages(checkout.root / "requirements.lock"),
        "accelerators": _accelerators(),
        "folders": _folders(checkout.runs),
        "cores": _cores(),
        "timing": _timing(),
        "server": _server(),
        "kernel": _kernel(),
        "database": _database(),
        "wrk": _wrk(),
    }
    for name, findings in checks.items():
        try:
            yield from findings
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            yield "FAIL", f"{name}: {why}; see what is in its way, or make clean setup"


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    if sys.version_info < OLDEST:
        yield "FAIL", f"Python {version} is too old: make setup PYTHON=python3.11, or newer"
    else:
        yield "OK", f"Python {version} at {sys.executable}"


def _packages(lock: Path) -> Iterator[Finding]:
    """The packages that the core requires, against the versions in requirements.lock."""
    pinned: dict[str, set[str]] = {}  # more than one where the version depends on Python's
    if lock.exists():
        for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", lock.read_text("utf-8")):
            pinned.setdefault(_normal(name), set()).add(version)
    for required in importlib.metadata.requires(DISTRIBUTION) or []:
        if "extra ==" in required:
            continue
        name = re.split(r"[^\w.-]", required)[0]
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield "FAIL", f"{name} is not installed: make setup"
            continue
        pins = pinned.get(_normal(name))
        if pins is None or version in pins:
            yield "OK", f"{name} {version}{'' if pins else ', not pinned here'}"
        else:
            wanted = " or ".join(sorted(pins))
            yield "FAIL", f"{name} {version}, but requirements.lock has {wanted}: make setup"


def _accelerators() -> Iterator[Finding]:
    for name in ("uvloop", "httptools"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            yield "FAIL", f"{name} can't be imported ({error}): make clean setup"
        else:
            yield "OK", f"{name} can be imported"


def _folders(runs: Path) -> Iterator[Finding]:
    for what, folder, remedy in (
        (
            "temporary folder",
            Path(tempfile.gettempdir()),
            "set TMPDIR to a folder you may write to",
        ),
        ("results folder", runs, "make it a folder you may write to"),
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"lab")
        except OSError as error:
            yield "FAIL", f"{what} {folder} is not writable ({error.strerror}): {remedy}"
        else:
            yield "OK", f"{what} {folder} is writable"


def _cores() -> Iterator[Finding]:
    cores = machine.usable_cores()
    if cores < 2:
        yield "FAIL", "1 core: client and server would take turns; give this machine two or more"
    else:
        yield "OK", f"{cores} cores, load {os.getloadavg()[0]:.1f}"


def _timing() -> Iterator[Finding]:
    why = machine.why_no_timing()
    if why is None:
        yield "OK", "timing claims can be measured: /proc tells how long a thread waits for a core"
    else:
        ids = ", ".join(claim.id for claim in claims.load().values() if claim.kind != "exact")
        yield "--", f"{why}; claims {ids} will read: not measurable here"


def _server() -> Iterator[Finding]:
    with serve(create_app, loop="asyncio") as server:
        yield "OK", "a server on 127.0.0.1 starts"
        stream = Stream("null", "/null", closed(1, requests=FLOOR_REQUESTS), expect_body=OK)
        trial = load.send(server.url, stream, warm_up=20)
    if trial.errors:
        yield "FAIL", f"requests failed: {trial.errors}; see whether a firewall filters 127.0.0.1"
        return
    yield "OK", f"the load worker starts, and {len(trial.rows)} requests are answered"
    floor_ms = percentile_ms(trial.response_ms, 50)
    said = f"a route that does nothing takes {floor_ms:.2f} ms (p50, asyncio)"
    if floor_ms < FLOOR_MS:
        yield "OK", said
    else:
        yield "FAIL", f"{said}, {FLOOR_MS:g} ms or more: stop what else is running and try again"


def _kernel() -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.ipynb"
        code = "import sys; print(sys.executable)"
        cells = [nbformat.v4.new_code_cell(code)]  # type: ignore[no-untyped-call]
        notebook = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        done = execution.execute(path, env={}, cell_timeout_s=10)
    if done.failure or done.notebook.cells[0].outputs[0].text.strip() != sys.executable:
        yield "FAIL", f"no Jupyter kernel of this Python ({done.failure}): make clean setup"
    else:
        yield "OK", f"a Jupyter kernel of this Python starts ({done.seconds:.1f} s)"


def _database() -> Iterator[Finding]:
    try:
        found = postgres.database()
    except postgres.PostgresError as error:
        yield "FAIL", f"no Postgres for 03, 04, 05 and 06: {error}"
        return
    if found.embedded:
        yield "OK", f"an embedded Postgres {found.version} starts ({found.started_s:.1f} s)"
    else:
        yield "OK", f"the Postgres {found.version} of {postgres.VARIABLE} answers"
    postgres.stop()


def _wrk() -> Iterator[Finding]:
    if shutil.which("wrk"):
        yield "OK", "wrk, for a second opinion on the load generator"
    else:
        yield "--", "no wrk: notebook 00 leaves its comparison out (Debian: apt install wrk)"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
