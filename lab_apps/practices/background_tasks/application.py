"""The app: every module's routes, and the lifespan that owns the task group."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from lab_apps.practices.background_tasks import crowd, failures, starts, victims, ways
from lab_apps.practices.background_tasks.groups import bounded_task_groups, task_groups


def create_app(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] = task_groups,
) -> FastAPI:
    """A new app whose task group is owned by that lifespan."""
    made = FastAPI(lifespan=lifespan)
    for module in (ways, failures, starts, crowd, victims):
        made.include_router(module.router)
    return made


app = create_app()
bounded_app = create_app(bounded_task_groups(stop_s=1))
