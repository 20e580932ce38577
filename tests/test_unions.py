"""What comes out of every union in every form: each cell of the claims is a test of its own.

A release of Pydantic or FastAPI that changes a cell fails the test that has the cell's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from lab_apps.instruments import claims, machine
from lab_apps.instruments.outcomes import posted
from lab_apps.instruments.server import serve
from lab_apps.practices import unions
from lab_apps.practices.unions import cases, content, content_v1, forms
from lab_apps.practices.unions.cases import CASES, EVERY, REFUSED, Case, described

CLAIMS = claims.load()
# The claims that have a whole column of the grid.
COLUMNS = {
    "8.2": "Pydantic 1",
    "8.2.1": "2, endpoint",
    "8.2.2": "2, JSON",
    "8.2.3": "2, left to right",
    "8.4": "2, key sets",
    "8.4.1": "2, no other keys",
    "8.4.2": "2, discriminated",
    "8.4.4": "2, with a kind",
    "8.5": "1, smart",
}
CELLS = [(claim, cell) for claim in COLUMNS for cell in CLAIMS[claim].expected]
BY_NAME = {case.name: case for case in CASES}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serve(unions.app) as server, httpx.Client(base_url=server.url) as client:
        yield client


def came_out(client: httpx.Client, column: str, case: Case) -> str:
    return forms.columns(partial(posted, client))[column](case)


@pytest.mark.parametrize(("claim", "cell"), CELLS, ids=[f"{i}: {cell}" for i, cell in CELLS])
def test_cell(claim: str, cell: str, client: httpx.Client) -> None:
    if why := machine.lacks(CLAIMS[claim].needs):
        pytest.skip(why)
    assert came_out(client, COLUMNS[claim], BY_NAME[cell]) == CLAIMS[claim].expected[cell]


def test_every_cell_is_declared_and_no_name_hides_another(client: httpx.Client) -> None:
    assert len(BY_NAME) == len(CASES)
    assert set(COLUMNS.values()) == forms.columns(partial(posted, client)).keys()
    for claim, column in COLUMNS.items():
        if not machine.lacks(CLAIMS[claim].needs):
            had = [c.name for c in CASES if came_out(client, column, c) != forms.MISSING]
            assert [*CLAIMS[claim].expected] == had


def test_another_form_is_seen_and_its_cell_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if an upgrade took unions from left to right again."""
    monkeypatch.setattr(forms, "router", APIRouter())
    app = FastAPI()
    for case in CASES:
        forms.add(f"/smart/{EVERY.index(case)}", forms.left_to_right(case))
    app.include_router(forms.router)
    with serve(app) as server, httpx.Client(base_url=server.url) as changed:
        came = {case.name: came_out(changed, "2, endpoint", case) for case in CASES}
    verdict = claims.exact(CLAIMS["8.2.1"], came)
    assert verdict.outcome == "refuted"
    assert "'bool | int ← 1' is 'bool true', declared was 'int 1'" in verdict.reason


def test_an_endpoint_validates_objects(client: httpx.Client) -> None:
    for column, form in (("2, endpoint", forms.smart), ("2, left to right", forms.left_to_right)):
        for case in EVERY:
            assert came_out(client, column, case) == forms.from_objects(case, form), case.name


def test_what_the_order_decides_in_an_endpoint(client: httpx.Client) -> None:
    def asked(case: Case) -> str:
        return came_out(client, "2, endpoint", case)

    assert [case.name for case in CASES if asked(case) != asked(case.turned)] == [
        'bool | int ← "1"',
        'datetime | date ← "2026-11-25"',
        'dict | Video ← {"video_id":1,"text":"t"}',
        'Song | Book ← {"title":"t"}',
    ]
    assert all(case.turned.turned == case for case in EVERY)


def test_a_server_s_failure_is_no_refusal() -> None:
    columns = forms.columns(lambda _path, _body: "500")
    assert columns["2, endpoint"](CASES[0]) == "500"


def test_a_key_that_is_forbidden_and_one_that_is_not(client: httpx.Client) -> None:
    """The typo is accepted where nothing forbids it, and what was sent is gone."""
    typo = next(case for case in CASES if case.group == "typo")
    made: Any = forms.post(forms.smart(typo)).model_validate_json(typo.body)
    assert made.content == content.Article(text="t")
    assert made.model_dump() == {"content": {"text": "t", "extra": None}}
    assert came_out(client, "2, no other keys", typo) == REFUSED


@pytest.mark.parametrize("members", [2, 3, 4, 5])
def test_errors_of_all_members_are_reported(members: int, client: httpx.Client) -> None:
    errors = client.post(f"/errors/{members}", json={"content": "x"}).json()["detail"]
    names = ["int", "float", "bool", "date", "uuid"]
    assert [error["loc"][2] for error in errors] == names[:members]
    if not content_v1.WHY_NOT:
        first = forms.union(cases.MANY[:members])
        assert len(content_v1.errors(first, "x")) == members
        assert content_v1.errors(first, 1) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "bool true"),
        (1, "int 1"),
        (1.0, "float 1.0"),
        ("1", "str"),
        ([1, "a"], "[int, str]"),
        (content.KindOfVideo(kind="video", video_id=1), "Video"),
        (content.StrictArticle(), "Article"),
    ],
)
def test_described(value: Any, text: str) -> None:
    assert described(value) == text


def test_openapi_is_generated(client: httpx.Client) -> None:
    assert client.get("/openapi.json").status_code == 200
