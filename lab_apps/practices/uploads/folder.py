"""Where uploads are stored, from the app's start to its end."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Put the folder into `app.state.folder`: UPLOADS_FOLDER, or a temporary one that goes again.

    Where the temporary folder is a tmpfs, as /tmp is on some systems, files in it are memory.
    """
    # Chosen now and kept: asked for the first time on a full disk, it would choose another folder.
    tempfile.gettempdir()
    with contextlib.ExitStack() as stack:
        chosen = os.environ.get("UPLOADS_FOLDER")
        app.state.folder = Path(chosen or stack.enter_context(tempfile.TemporaryDirectory()))
        app.state.folder.mkdir(parents=True, exist_ok=True)
        app.state.barriers = {}
        yield
