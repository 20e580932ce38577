"""The file an upload goes to, counted and hashed as it is written."""

from __future__ import annotations

from hashlib import sha256
from typing import IO


class Target:
    """Writes to `file` what it is given; to be called in a thread, for it blocks.

    `size` is the number of bytes written so far.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = 0
        self._hash = sha256()

    def write(self, piece: bytes) -> int:
        """Write all of the piece and return its length, as `shutil.copyfileobj` expects."""
        self.file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)
        return len(piece)

    @property
    def sha256(self) -> str:
        """The hash of what was written, in hexadecimal."""
        return self._hash.hexdigest()

    def saved(self) -> dict[str, int | str]:
        """Size in bytes and hash of what was written."""
        return {"size": self.size, "sha256": self.sha256}
