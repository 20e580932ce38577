"""The number of a request's task, noted as accepted."""

from __future__ import annotations

import itertools
import os
from typing import Annotated

from fastapi import Depends

from lab_apps.practices.background_tasks.ledger import note

_numbers = itertools.count(1)


async def accept() -> str:
    """A dependency: a name for the request's task, noted in the ledger."""
    task = f"{os.getpid()}-{next(_numbers)}"
    note(task, "accepted")
    return task


Task = Annotated[str, Depends(accept)]
