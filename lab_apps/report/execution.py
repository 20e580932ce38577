"""Runs a notebook from top to bottom in a kernel of this very interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from lab_apps.report.files import CannotRun

TICK_S = 0.5
LONGEST_SOCKET_FOLDER = 60  # characters; a Unix socket's path may have 103 on macOS

Progress: TypeAlias = Callable[[int, int, float], None]  # cell, of how many, seconds so far


@dataclass(frozen=True)
class Executed:
    """A notebook after its run. `failure` is "", or the cell and why it ended there."""

    name: str
    notebook: NotebookNode
    seconds: float
    failure: str


def read(path: Path) -> NotebookNode:
    """The notebook in `path`. Raises CannotRun for a file that is none."""
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except Exception as error:  # nbformat lets out whatever its look at the content raises
        why = " ".join(str(error).split())[:120]
        raise CannotRun(
            f"{path} is not a notebook ({why}): restore it, for example from git"
        ) from None
    return notebook


def text(notebook: nbformat.NotebookNode) -> str:
    """The notebook as its file has it: sorted keys, an indent of one, a newline at the end."""
    written: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return written.rstrip("\n") + "\n"


def execute(
    path: Path,
    *,
    env: Mapping[str, str],
    cell_timeout_s: int,
    progress: Progress | None = None,
) -> Executed:
    """Run every cell of the notebook in `path`, in its folder, and return what came of it.

    What was stored in it is cleared first, so that nothing shown is from another run. Stops at the
    first cell that raises, takes longer than `cell_timeout_s` or loses its kernel. `env` is added
    to the kernel's environment. No kernel is left, also after an interrupt; a kernel whose parent
    is killed ends by itself within about a second.
    """
    notebook = read(path)
    begun = time.monotonic()
    _clear(notebook)
    failure = asyncio.run(_run(notebook, path.parent, env, cell_timeout_s, progress))
    return Executed(path.stem, notebook, round(time.monotonic() - begun, 1), failure)


def _clear(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {  # without the version, which says nothing of the results
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    }


class _ThisPython(KernelSpecManager):
    """Knows one kernel: ours, whatever is installed under the name python3."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


async def _run(
    notebook: NotebookNode,
    folder: Path,
    env: Mapping[str, str],
    cell_timeout_s: int,
    progress: Progress | None,
) -> str:
    """Run the cells in place; return why it stopped early, or ""."""
    cells = [
        (index, cell)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip()
    ]
    number, cell, begun = 0, None, time.monotonic()

    async def tick() -> None:
        while progress:
            progress(number, len(cells), time.monotonic() - begun)
            await asyncio.sleep(TICK_S)

    ticking = asyncio.create_task(tick())
    try:
        async with _kernel(notebook, folder, env, cell_timeout_s) as client:
            for number, (index, cell) in enumerate(cells, 1):
                await client.async_execute_cell(cell, index, execution_count=number)
    except CellExecutionError as error:
        return _where(number, f"{error.ename}: {error.evalue}")
    except CellTimeoutError:
        return _stop(cell, number, "Timeout", f"not done after {cell_timeout_s} s")
    except RuntimeError as error:
        if asyncio.current_task().cancelling():  # type: ignore[union-attr]
            raise asyncio.CancelledError from None  # nbclient takes an interrupt for a dead kernel
        if isinstance(error, DeadKernelError):
            return _stop(cell, number, "DeadKernelError", "the kernel died")
        return f"the kernel did not start: {error}"
    finally:
        ticking.cancel()
    return ""


@contextlib.asynccontextmanager
async def _kernel(
    notebook: NotebookNode, folder: Path, env: Mapping[str, str], cell_timeout_s: int
) -> Any:
    """A running kernel of this interpreter and the client that executes the notebook in it."""
    with _socket_folder() as sockets:
        manager = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=_ThisPython(),
            transport="ipc",  # nobody else on this machine can reach it
            connection_file=str(sockets / "k.json"),
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=cell_timeout_s,
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,  # of a line of progress its last state remains
        )
        # The reader's IPython start-up files have no say in a measurement.
        environment = {**os.environ, "IPYTHONDIR": str(sockets / "ipython"), **env}
        try:
            await client.async_start_new_kernel(cwd=str(folder), env=environment)
            await client.async_start_new_kernel_client()
            yield client
        finally:
            if client.kc is not None:
                client.kc.stop_channels()
            if manager.has_kernel:
                await manager.shutdown_kernel(now=True)


@contextlib.contextmanager
def _socket_folder() -> Iterator[Path]:
    """A temporary folder with a name short enough for Unix sockets."""
    usual = tempfile.gettempdir()
    short = usual if len(usual) <= LONGEST_SOCKET_FOLDER else "/tmp"
    with tempfile.TemporaryDirectory(prefix="lab-", dir=short, ignore_cleanup_errors=True) as made:
        yield Path(made)


def _stop(cell: NotebookNode | None, number: int, name: str, why: str) -> str:
    """Note in the cell itself what no output of its own says."""
    if cell is not None:
        cell.outputs.append(
            nbformat.v4.new_output(  # type: ignore[no-untyped-call]
                "error", ename=name, evalue=why, traceback=[f"{name}: {why}"]
            )
        )
    return _where(number, why)


def _where(number: int, why: str) -> str:
    return f"cell In [{number}]: {' '.join(why.split())[:300]}"
