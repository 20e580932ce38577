"""Task groups owned by the app's lifespan: what holds on to tasks once their request is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def task_groups(app: FastAPI) -> AsyncIterator[None]:
    """A lifespan that doesn't end before its tasks have; the request's way to it is `group_of`."""
    async with asyncio.TaskGroup() as group:
        app.state.group = group
        yield


def bounded_task_groups(stop_s: float) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The same, but the tasks are cancelled `stop_s` seconds after the stop has reached them."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
            app.state.group = group
            yield
            limit.reschedule(asyncio.get_running_loop().time() + stop_s)

    return lifespan


def group_of(request: Request) -> asyncio.TaskGroup:
    """A dependency: the app's task group."""
    group: asyncio.TaskGroup = request.app.state.group
    return group


Group = Annotated[asyncio.TaskGroup, Depends(group_of)]


async def guarded(work: Coroutine[Any, Any, object]) -> None:
    """Await the work and log its failure, so that it doesn't cancel the group's other tasks."""
    try:
        await work
    except Exception:
        logger.exception("a task of the group has failed")
