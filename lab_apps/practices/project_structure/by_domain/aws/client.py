"""The client of the storage: a folder stands for the bucket, and a file for an object."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from fastapi.concurrency import run_in_threadpool

from lab_apps.practices.project_structure.by_domain.aws import exceptions


class Client:
    """Stores bytes under keys. A storage's own client blocks, so each call goes to a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: UUID, content: bytes) -> None:
        """Store the content."""
        await run_in_threadpool((self._folder / str(key)).write_bytes, content)

    async def get(self, key: UUID) -> bytes:
        """What is stored under that key. Raises FileMissing."""
        try:
            return await run_in_threadpool((self._folder / str(key)).read_bytes)
        except FileNotFoundError as error:
            raise exceptions.FileMissing from error

    async def delete(self, key: UUID) -> None:
        """Store nothing under that key any more."""
        await run_in_threadpool((self._folder / str(key)).unlink, missing_ok=True)
