"""What the environment says, and the app's secret."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

SECRET = "known to everybody who reads the lab's source"  # HS256 wants 32 bytes or more


def database_url(given: str | None) -> str:
    """The url given, or LAB_DATABASE_URL. Raises RuntimeError where there is neither."""
    url = given or os.environ.get("LAB_DATABASE_URL")
    if not url:
        raise RuntimeError(
            "LAB_DATABASE_URL is not set: set it to the address of a Postgres, such as"
            " postgresql:///lab01"
        )
    return url


@contextlib.contextmanager
def bucket_folder(given: Path | None) -> Iterator[Path]:
    """The folder given, or LAB_BUCKET_FOLDER, or a temporary one that goes again."""
    with contextlib.ExitStack() as stack:
        chosen = given or os.environ.get("LAB_BUCKET_FOLDER")
        folder = Path(chosen or stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
