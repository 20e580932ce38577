"""How a file comes to its folder: whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Landing:
    """A file being written, and the random id that is its name once it is whole."""

    id: str
    file: IO[bytes]


@contextlib.contextmanager
def landing(folder: Path) -> Iterator[Landing]:
    """Yield an open file; at the end of the block it has its name, if the block raises it is gone.

    It is made under a temporary name (O_EXCL, mode 0600) in the same folder, because a file can
    only be renamed in one step within a file system. Raises OSError. Making and renaming happen on
    the event loop, so that there is no gap for a cancellation. Only a process that is killed leaves
    a `.part` file behind. A power cut right after the block may still undo the renaming.
    """
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=".part")
    partial = Path(name)
    landed = Landing(secrets.token_hex(16), os.fdopen(descriptor, "wb"))
    try:
        with landed.file:
            yield landed
        partial.replace(folder / landed.id)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
