"""What is answered before a task ends: by kind of work, way, order in the route, and client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from alive import noted, spoiled
from fastapi import BackgroundTasks, Response
from helpers import attempts

from lab_apps.instruments import task_clients, task_order
from lab_apps.instruments.server import App
from lab_apps.practices.background_tasks.application import create_app
from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.ways import ACCEPTED
from lab_apps.practices.background_tasks.work import awaiting, blocking, mislabelled

BESIDE = {"async": "/victim", "def": "/victim-def"}
POOL = "4 of 4 answered before the end; pool thread"
LOOP = "4 of 4 answered before the end; event loop"
HELD = "1 of 4 answered before the end; event loop"
SAID = {"blocking": POOL, "computing": POOL, "awaiting": LOOP, "mislabelled": HELD}
WAYS = ("background", "naive", "group")


def check_order(path: str, said: str, app: App = create_app) -> None:
    with noted(app) as (server, ledger):
        seen = task_order.observe(
            server.url, f"{path}?seconds=0.2", ledger, BESIDE, following="/victim"
        )
    assert seen.said == said


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", SAID)
def test_way_does_not_show_and_kind_does(way: str, kind: str) -> None:
    attempts(check_order, f"/{way}/{kind}", SAID[kind])


async def mislabelled_instead(task: Task, tasks: BackgroundTasks, seconds: float) -> dict[str, str]:
    tasks.add_task(mislabelled, task, seconds)
    return ACCEPTED


async def blocks_before_the_answer(task: Task, seconds: float) -> dict[str, str]:
    await mislabelled(task, seconds)
    return ACCEPTED


async def awaits_before_the_answer(task: Task, seconds: float) -> dict[str, str]:
    await awaiting(task, seconds)
    return ACCEPTED


@pytest.mark.parametrize(
    ("path", "broken"),
    [
        ("/background/blocking", mislabelled_instead),
        ("/background/awaiting", mislabelled_instead),
        ("/background/mislabelled", blocks_before_the_answer),
        ("/background/awaiting", awaits_before_the_answer),
    ],
)
def test_check_sees_broken_order(path: str, broken: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError):
        attempts(check_order, path, SAID[path.rpartition("/")[2]], spoiled(path, broken))


def check_answer(path: str, early: bool, app: App = create_app) -> None:
    """Whether the request's own answer is whole before its work has ended."""
    with noted(app) as (server, ledger):
        seen = task_order.observe(server.url, path, ledger, {})
    assert seen.before_end(task_order.ANSWER) is early
    assert list(seen.events) == ["accepted", "begun", "done"]


STARTS = {
    "/starts/naive?seconds=0.1": True,
    "/starts/naive-then-await?seconds=0.1": False,
    "/starts/background-then-await?seconds=0.1": True,
    "/starts/large?kib=16&seconds=0.2": True,
    "/starts/large?kib=32768&seconds=0.2": False,
}


@pytest.mark.parametrize("path", STARTS)
def test_what_comes_first(path: str) -> None:
    attempts(check_answer, path, STARTS[path])


async def created(task: Task, seconds: float) -> dict[str, str]:
    working = asyncio.create_task(mislabelled(task, seconds))
    await asyncio.sleep(0)
    assert working
    return ACCEPTED


async def large_in_a_thread(
    task: Task, tasks: BackgroundTasks, kib: int, seconds: float
) -> Response:
    tasks.add_task(blocking, task, seconds)
    return Response(bytes(kib * 1024))


@pytest.mark.parametrize(
    ("path", "broken"),
    [
        ("/starts/background-then-await?seconds=0.1", created),
        ("/starts/naive-then-await?seconds=0.1", mislabelled_instead),
        ("/starts/large?kib=32768&seconds=0.3", large_in_a_thread),
    ],
)
def test_check_sees_what_comes_first(path: str, broken: Callable[..., Any]) -> None:
    early = STARTS[path.replace("0.3", "0.2")]
    with pytest.raises(AssertionError):
        attempts(check_answer, path, early, spoiled(path.partition("?")[0], broken))


@pytest.mark.parametrize(
    ("ask", "background", "naive"),
    [
        (task_clients.asgi_transport, task_clients.AFTER, task_clients.BEFORE),
        (task_clients.client_of_tests, task_clients.AFTER, task_clients.NEVER),
        (
            partial(task_clients.client_of_tests, block=True),
            task_clients.AFTER,
            task_clients.BEFORE,
        ),
    ],
)
def test_clients_without_a_socket(ask: Callable[..., str], background: str, naive: str) -> None:
    with noted() as (_, ledger):
        assert ask(create_app(), "/background/awaiting?seconds=0.1", ledger) == background
        assert ask(create_app(), "/naive/awaiting?seconds=0.1", ledger) == naive


def test_a_failed_answer_is_no_order() -> None:
    with (
        noted() as (server, ledger),
        pytest.raises(RuntimeError, match="/nowhere was answered 404"),
    ):
        task_order.observe(
            server.url, "/background/awaiting?seconds=0.05", ledger, {}, following="/nowhere"
        )
