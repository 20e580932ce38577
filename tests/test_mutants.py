"""Each suite notices what it says it notices, and no more; and passes where nothing is broken."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from uuid import uuid4

import pytest
from checked import checked
from fastapi import APIRouter, Depends, FastAPI

from lab_apps.instruments import postgres
from lab_apps.practices.database_checks import create_app, mutants, posts, suites
from lab_apps.practices.database_checks.mutants import MUTANTS
from lab_apps.practices.database_checks.suites import SUITES

NOTICED = {
    "nothing": set(),
    "check lost in GET": {"once", "listed", "contract", "inspection"},
    "check lost in PUT": {"listed", "contract", "inspection"},
    "check lost in GET reviews": {"listed", "contract", "inspection"},
    "new route without the check": {"contract", "inspection"},
    "dependency lets all pass": {"once", "listed", "contract"},
}


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    yield
    postgres.stop()


@pytest.mark.parametrize("name", MUTANTS)
def test_which_suites_fail(name: str) -> None:
    failed = set()
    with checked(MUTANTS[name]) as running:
        for suite in SUITES:
            try:
                suite(running.client, running.app)
            except AssertionError:
                failed.add(suite.__name__)
    assert failed == NOTICED[name]
    assert set(MUTANTS) == set(NOTICED)


@pytest.mark.parametrize(
    ("name", "method", "rest"),
    [
        ("check lost in GET", "GET", ""),
        ("check lost in PUT", "PUT", ""),
        ("check lost in GET reviews", "GET", "/reviews"),
    ],
)
def test_a_mutant_differs_in_one_route(name: str, method: str, rest: str) -> None:
    with checked(MUTANTS[name]) as running:
        for asked in (("GET", ""), ("PUT", ""), ("GET", "/reviews")):
            path, body = f"/posts/{uuid4()}{asked[1]}", {"title": "Another"}
            answer = running.client.request(asked[0], path, json=body)
            assert answer.status_code == (200 if asked == (method, rest) else 404)


def test_a_mutant_is_the_route_but_for_its_check() -> None:
    for endpoint in (posts.read, posts.update, posts.reviews):
        was = inspect.signature(endpoint, eval_str=True)
        became = inspect.signature(mutants.without_check(endpoint))
        assert list(became.parameters) == list(was.parameters)
        changed = {
            name
            for name, parameter in was.parameters.items()
            if became.parameters[name].annotation != parameter.annotation
        }
        assert changed == {"post"}
        assert became.return_annotation == was.return_annotation


def test_inspection_descends() -> None:
    """Into routers in routers, and into dependencies of dependencies and of routers."""

    async def owned(post: posts.ValidPost) -> posts.Post:
        return post

    async def route() -> None:
        """Has nothing of its own."""

    def app(*, guarded: bool) -> FastAPI:
        inner, outer = APIRouter(), APIRouter()
        inner.add_api_route("/{post_id}", route)
        dependencies = [Depends(owned)] if guarded else []
        outer.include_router(inner, prefix="/posts", dependencies=dependencies)
        return create_app(of_posts=outer)

    with checked() as running:
        suites.inspection(running.client, app(guarded=True))
        with pytest.raises(AssertionError, match=r"/posts/\{post_id\} lacks valid_post_id"):
            suites.inspection(running.client, app(guarded=False))
