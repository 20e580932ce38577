"""What the tests of practice 7 share while its server lives: an app, noted, and broken versions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from lab_apps.instruments.ledger import Ledger
from lab_apps.instruments.schedule import Open, Schedule
from lab_apps.instruments.server import App, Server, serve
from lab_apps.instruments.task_run import Run, run
from lab_apps.instruments.victims import Route
from lab_apps.instruments.wire import Stream
from lab_apps.practices.background_tasks import crowd, starts, victims, ways
from lab_apps.practices.background_tasks.application import create_app
from lab_apps.practices.background_tasks.groups import task_groups

ACCEPTED, SERVED = b'{"status":"accepted"}', b'{"victim":"served"}'


def spoiled(path: str, endpoint: Callable[..., Any]) -> Callable[[], FastAPI]:
    """The specimen with another route at that path: the first that fits is taken."""

    def make() -> FastAPI:
        app = FastAPI(lifespan=task_groups)
        app.add_api_route(path, endpoint, methods=["POST"], response_model=None)
        for module in (ways, starts, crowd, victims):
            app.include_router(module.router)
        return app

    return make


@contextlib.contextmanager
def noted(app: App = create_app, tokens: int | None = None) -> Iterator[tuple[Server, Ledger]]:
    """A server of the app in this process, and the ledger in which its tasks note what they do."""
    with Ledger() as ledger, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEDGER", str(ledger.path))
        with serve(app, tokens=tokens) as server:
            yield server, ledger


def posts(path: str, schedule: Schedule, payload: bytes = b"") -> Stream:
    """Requests that start a task each; all that are due at one instant have connections."""
    number = len(schedule.at_s) if isinstance(schedule, Open) else None
    headers = (("content-type", "application/octet-stream"),) if payload else ()
    form: dict[str, Any] = {"method": "POST", "headers": headers, "body": payload}
    return Stream("posts", path, schedule, ACCEPTED, connections=number, **form)


def ran(path: str, schedule: Schedule, app: App = create_app, tokens: int | None = None) -> Run:
    """Those requests to a server of their own, and what their tasks noted."""
    with noted(app, tokens) as (server, ledger):
        return run(server, ledger, posts(path, schedule))


VICTIMS = {"async": Route("/victim", SERVED), "def": Route("/victim-def", SERVED)}
