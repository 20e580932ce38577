"""Unions of many members and bodies of many elements: what is accepted, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError

from lab_apps.instruments.server import serve
from lab_apps.practices import unions
from lab_apps.practices.unions import batches, members

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with (
        serve(unions.app) as server,
        httpx.Client(base_url=server.url, headers=JSON) as client,
    ):
        yield client


@pytest.mark.parametrize("kind", members.KINDS)
@pytest.mark.parametrize("size", members.SIZES)
def test_each_member_is_found_and_the_next_is_not(kind: str, size: int) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(members.of(kind, size))
    for index in {0, size // 2, size - 1}:
        found = members.attempt(adapter, members.content(index))
        assert type(found) is members.member(index)
    assert isinstance(members.attempt(adapter, members.content(size)), ValidationError)


def test_what_is_timed_is_what_an_endpoint_does(client: httpx.Client) -> None:
    for kind in members.KINDS:
        for size in (2, 32):
            content = members.content(size - 1)
            made = members.validating(kind, size, content)()
            assert isinstance(made, BaseModel)
            answer = client.post(f"/members/{kind}/{size}", json={"content": content})
            assert answer.json() == {"kind": content["kind"]}
            refused = members.validating(kind, size, {})()
            assert isinstance(refused, ValidationError)
            answer = client.post(f"/members/{kind}/{size}", json={"content": {}})
            assert (answer.status_code, len(answer.json()["detail"])) == (
                *(422, refused.error_count()),
            )


@pytest.mark.parametrize("name", batches.ELEMENTS)
def test_a_batch_is_counted(name: str, client: httpx.Client) -> None:
    answer = client.post(batches.path(name), content=batches.valid(name, 7))
    assert (answer.status_code, answer.json()) == (200, {"items": 7})
    answer = client.post(batches.path(name), content=batches.invalid(2, b"[]"))
    assert answer.status_code == 422


def errors(client: httpx.Client, path: str, count: int) -> int:
    answer = client.post(path, content=batches.invalid(count))
    assert answer.status_code == 422
    return len(answer.json()["detail"])


def test_a_batch_has_as_many_members_as_its_name_says(client: httpx.Client) -> None:
    members_of = {"int": 1, "int | str": 2, "UUID | str": 2, "one model": 1}
    members_of |= {"smart, 2": 2, "smart, 8": 8, "smart, 32": 32, "left to right, 32": 32}
    for name in batches.ELEMENTS.keys() - {"discriminated, 32"}:
        answer = client.post(batches.path(name), content=batches.invalid(1, b"[]"))
        assert len(answer.json()["detail"]) == members_of[name], name


def test_unions_are_tried_as_their_names_say() -> None:
    names = ("smart, 2", "smart, 8", "smart, 32", "left to right, 32")
    elements = {name: batches.ELEMENTS[name][0] for name in names}
    elements |= {kind: members.of(kind, 4) for kind in ("smart", "left-to-right")}
    for name, element in elements.items():
        adapter: TypeAdapter[Any] = TypeAdapter(element)
        mode = adapter.core_schema.get("mode", "smart")
        assert mode == ("smart" if "smart" in name else "left_to_right"), name


def test_a_list_that_is_too_long_is_tried_up_to_its_bound() -> None:
    tried: list[int] = []
    adapter: TypeAdapter[Any] = TypeAdapter(
        Annotated[list[Annotated[int, AfterValidator(tried.append)]], Field(max_length=3)]
    )
    with pytest.raises(ValidationError, match="too_long"):
        adapter.validate_python([1] * 9)
    assert len(tried) == 4


def test_errors_are_members_times_elements_and_what_bounds_them(client: httpx.Client) -> None:
    smart = batches.path("smart, 32")
    assert [errors(client, smart, count) for count in (1, 10)] == [32, 320]
    assert [errors(client, batches.path("discriminated, 32"), n) for n in (1, 10)] == [1, 10]
    assert [errors(client, batches.path("fail_fast"), n) for n in (1, 10)] == [32, 32]
    most = batches.MOST
    assert errors(client, batches.path("max_length"), most) == 32 * most
    assert errors(client, batches.path("max_length"), most + 1) == 1
    assert [errors(client, f"/cut{smart}", n) for n in (1, 10)] == [batches.FIRST] * 2


def test_bounded_lists_take_what_is_valid(client: httpx.Client) -> None:
    body = batches.valid("smart, 32", batches.MOST)
    for path in (*map(batches.path, batches.BOUNDED), "/cut" + batches.path("smart, 32")):
        assert client.post(path, content=body).json() == {"items": batches.MOST}


def test_bodies_are_as_long_as_they_say() -> None:
    assert batches.invalid(3) == b'{"items":[0,0,0]}'
    assert json.loads(batches.valid("UUID | str", 2)) == {"items": [batches.ID] * 2}
    assert batches.path("left to right, 32") == "/batches/left-to-right-32"
    assert batches.path("int | str") == "/batches/int-str"


def test_the_cut_answer_has_the_first_errors_and_no_values(client: httpx.Client) -> None:
    path, body = batches.path("smart, 32"), batches.large(500)
    whole = client.post(path, content=body).json()["detail"]
    cut = client.post(f"/cut{path}", content=body).json()["detail"]
    assert [one["loc"] for one in cut] == [one["loc"] for one in whole[: batches.FIRST]]
    assert all(one.keys() == {"type", "loc", "msg"} for one in cut)
    assert b"x" * 500 in client.post(batches.path("fail_fast"), content=body).content
