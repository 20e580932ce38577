"""Four ways to test that no route serves a post that isn't there.

Each raises AssertionError where it notices something, and returns None where it doesn't. The first
three ask a running app through `client`, the last one looks at the app's routes.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import httpx
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from lab_apps.practices.database_checks.posts import valid_post_id

POST = "/posts/{post_id}"
LISTED = (("GET", POST), ("PUT", POST), ("GET", f"{POST}/reviews"))


def answers(client: httpx.Client, method: str, path: str, post_id: object, status: int) -> None:
    """Ask that route for that post, with a body if one is needed for 200; assert the status."""
    body = {"title": "tested"} if (method, status) == ("PUT", 200) else None
    answer = client.request(method, path.format(post_id=post_id), json=body)
    assert answer.status_code == status, f"{method} {path}: {answer.status_code}, not {status}"


def once(client: httpx.Client, _: FastAPI) -> None:
    """What the article leaves to test: the dependency once, and each route where all is well."""
    written = client.post("/posts", json={"title": "to be tested"}).json()["id"]
    for method, path in LISTED:
        answers(client, method, path, written, 200)
    answers(client, "GET", POST, uuid4(), 404)
    answers(client, "GET", POST, "oops", 422)


def listed(client: httpx.Client, app: FastAPI) -> None:
    """The same for each route on a list that somebody keeps."""
    once(client, app)
    for method, path in LISTED:
        answers(client, method, path, uuid4(), 404)


def contract(client: httpx.Client, _: FastAPI) -> None:
    """Each route with a {post_id} that the app says it has.

    No body is sent: the dependency runs before the body is complained about, so that a route with
    the check says 404 and one without it 422.
    """
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        if "{post_id}" in path:
            for method in methods:
                answers(client, method.upper(), path, uuid4(), 404)


def inspection(_: httpx.Client, app: FastAPI) -> None:
    """Each route with a {post_id} has the dependency; nothing is asked."""
    for route in iter_route_contexts(app.routes):
        if "{post_id}" in str(route.path):
            assert depends(route.dependant, valid_post_id), f"{route.path} lacks valid_post_id"


def depends(dependant: Dependant, on: Callable[..., object]) -> bool:
    """Whether it is there, at any depth."""
    return dependant.call is on or any(depends(one, on) for one in dependant.dependencies)


SUITES = (once, listed, contract, inspection)
