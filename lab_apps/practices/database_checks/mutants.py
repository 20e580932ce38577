"""The app with one thing broken that its tests should notice."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from pydantic import UUID4

from lab_apps.practices.database_checks import posts
from lab_apps.practices.database_checks.application import create_app
from lab_apps.practices.database_checks.database import Pool


async def unchecked_post_id(post_id: UUID4) -> posts.Post:
    """What is left of `valid_post_id` without its check: it asks nobody."""
    return posts.Post(id=post_id, title="unchecked")


def without_check(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """A route function that is the same but for its `ValidPost`, which is not valid any more."""
    signature = inspect.signature(endpoint, eval_str=True)
    unchecked = Annotated[posts.Post, Depends(unchecked_post_id)]
    parameters = [
        parameter.replace(annotation=unchecked)
        if parameter.annotation == posts.ValidPost
        else parameter
        for parameter in signature.parameters.values()
    ]

    @functools.wraps(endpoint)
    async def mutant(**values: Any) -> Any:
        return await endpoint(**values)

    mutant.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return mutant


def router_without(broken: Callable[..., Any]) -> APIRouter:
    """The router of `posts` in which that route has lost its check."""
    router = APIRouter()
    for route in posts.router.routes:
        assert isinstance(route, APIRoute)
        endpoint = without_check(broken) if route.endpoint is broken else route.endpoint
        methods = sorted(route.methods or ())
        router.add_api_route(route.path, endpoint, methods=methods, status_code=route.status_code)
    return router


async def add_review(post_id: UUID4, review: posts.Review, pool: Pool) -> posts.Review:
    """A route that somebody adds and that takes the id as it is."""
    async with pool.connection() as db:
        await db.execute("INSERT INTO reviews VALUES (%s, %s)", [post_id, review.stars])
    return review


def with_a_new_route() -> APIRouter:
    """The router of `posts` and one route more, without the check."""
    router = router_without(add_review)  # which is not in it, so nothing is left out
    router.add_api_route("/posts/{post_id}/reviews", add_review, methods=["POST"], status_code=201)
    return router


def broken_dependency(url: str | None = None) -> FastAPI:
    """The app whose dependency lets everything pass, in all routes."""
    app = create_app(url)
    app.dependency_overrides[posts.valid_post_id] = unchecked_post_id
    return app


def app_with(router: Callable[[], APIRouter]) -> Callable[[str | None], FastAPI]:
    """What makes an app with that router in place of that of `posts`."""

    def made(url: str | None = None) -> FastAPI:
        return create_app(url, of_posts=router())

    return made


# Each makes an app on the Postgres at a url, by default at that of LAB_DATABASE_URL.
MUTANTS: dict[str, Callable[[str | None], FastAPI]] = {
    "nothing": create_app,
    "check lost in GET": app_with(lambda: router_without(posts.read)),
    "check lost in PUT": app_with(lambda: router_without(posts.update)),
    "check lost in GET reviews": app_with(lambda: router_without(posts.reviews)),
    "new route without the check": app_with(with_a_new_route),
    "dependency lets all pass": broken_dependency,
}
