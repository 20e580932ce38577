"""The profile's route: what it stores, what it refuses, where it fails; and the check by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from helpers import needs_proc, no_leftovers
from validated import VALID, Validated, validated

from lab_apps.instruments import claims, postgres
from lab_apps.instruments.hostile_json import Body, ask
from lab_apps.instruments.server import serve
from lab_apps.practices.validation import by_hand, create_app, quiz
from lab_apps.practices.validation.application import VARIANTS
from lab_apps.practices.validation.by_hand import Problem, check
from lab_apps.practices.validation.quiz import COMPLETE

ROUTES = [*VARIANTS, "by-hand"]


@pytest.fixture(scope="module")
def running() -> Iterator[Validated]:
    with validated() as one:
        yield one
    postgres.stop()


@pytest.mark.parametrize("route", [name for name in ROUTES if name != "strict"])
def test_a_profile_is_stored_and_answered(running: Validated, route: str) -> None:
    (answer,) = running.ask(route, [VALID])
    assert answer.status == 200
    row = json.loads(answer.body)
    stored = running.db.execute("SELECT * FROM profiles WHERE id = %s", [row["id"]]).fetchone()
    assert stored == tuple(row.values())
    website = row.pop("website").removesuffix("/")  # Pydantic adds it
    assert row | {"website": website} == {"id": row["id"]} | COMPLETE


def test_defaults_are_stored(running: Validated) -> None:
    for route in ROUTES:
        (answer,) = running.ask(route, [quiz.VALID])
        row = json.loads(answer.body)
        assert (row["visits"], row["score"], row["favorite_band"]) == (0, 0.0, None)


def test_strict_refuses_a_band(running: Validated) -> None:
    (answer,) = running.ask("strict", [VALID])
    assert answer.status == 422
    assert {error["type"] for error in json.loads(answer.body)["detail"]} == {"is_instance_of"}


@pytest.mark.parametrize(("label", "body"), quiz.BODIES.items())
def test_quiz_bodies_are_what_they_are_called(label: str, body: bytes) -> None:
    assert label.encode() in body
    assert len(quiz.BODIES) == 16
    rest = body.replace(label.encode(), b"")
    assert body == label.encode() or rest.startswith(b"{")


@pytest.mark.parametrize("route", ["no-echo", "all"])
@pytest.mark.parametrize("bad", ["NaN", "1e400", '"\\ud800"', '"hunter2"'])
def test_the_value_is_not_in_the_answer(running: Validated, route: str, bad: str) -> None:
    body = VALID.replace(b": 20,", f": {bad},".encode())
    assert body != VALID
    (answer,) = running.ask(route, [body])
    assert answer.status == 422
    (error,) = json.loads(answer.body)["detail"]
    assert error.keys() == {"type", "loc", "msg"}
    assert error["loc"] == ["body", "age"]
    assert b"hunter2" not in answer.body


def with_value(**values: Any) -> bytes:
    return json.dumps(COMPLETE | values).encode()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"\xff", Problem("", "not UTF-8")),
        (VALID.decode().encode("utf-16"), Problem("", "not UTF-8")),
        (b"", Problem("", "not JSON")),
        (b"{'age': 20}", Problem("", "not JSON")),
        (VALID.decode().encode("utf-16-le"), Problem("", "not JSON")),
        (b"[]", Problem("", "no object")),
        (b"[" * 100_000, Problem("", "nested too deeply")),
        (VALID.replace(b": 20,", b": " + b"9" * 5000 + b","), Problem("", "number too long")),
        (VALID.replace(b": 20,", b": NaN,"), Problem("", "not JSON: NaN or Infinity")),
        (VALID.replace(b": 20,", b': 20, "age": 21,'), Problem("", "key twice")),
        (with_value(nickname="A"), Problem("nickname", "unknown field")),
        (with_value(first_name="\u200b "), Problem("first_name", "nothing to see")),
        (with_value(first_name="x" * 129), Problem("first_name", "too long")),
        (with_value(first_name=7), Problem("first_name", "no text")),
        (with_value(first_name="a\ud800"), Problem("first_name", "lone surrogate")),
        (with_value(bio="a\0b"), Problem("bio", "NUL")),
        (with_value(username="ada lovelace"), Problem("username", "wrong form")),
        (with_value(email="ada@localhost"), Problem("email", "wrong form")),
        (with_value(email="ad\u00e0@example.org"), Problem("email", "not ASCII")),
        (with_value(email="ada@example.org\n"), Problem("email", "wrong form")),
        (with_value(website="http:example.org"), Problem("website", "wrong form")),
        (with_value(favorite_band="queen"), Problem("favorite_band", "not on the list")),
        (with_value(age=True), Problem("age", "no integer")),
        (with_value(age=20.0), Problem("age", "no integer")),
        (with_value(age="20"), Problem("age", "no integer")),
        (with_value(age=17), Problem("age", "out of range")),
        (with_value(age=2**31), Problem("age", "out of range")),
        (with_value(visits=2**63), Problem("visits", "out of range")),
        (with_value(score=10**400), Problem("score", "out of range")),
        (with_value(score=True), Problem("score", "no number")),
        (VALID.replace(b"1.5", b"1e400"), Problem("score", "out of range")),
        (VALID.replace(b'"bio"', b'"\\ud800"'), Problem("\ud800", "unknown field")),
    ],
)
def test_check_says_what_is_wrong(body: bytes, problem: Problem) -> None:
    assert check(body) == [problem]


def test_check_says_everything_that_is_wrong() -> None:
    body = json.dumps({"first_name": "", "age": 2, "nickname": "A", "bio": "\0"}).encode()
    problems = check(body)
    assert isinstance(problems, list)
    assert sorted(problem.field for problem in problems) == sorted(
        ["nickname", "first_name", "username", "email", "age", "bio"]
    )


def test_check_accepts() -> None:
    profile = check(VALID)
    assert isinstance(profile, by_hand.Profile)
    assert asdict(profile) == COMPLETE
    largest = with_value(age=2**31 - 1, visits=2**63 - 1, bio="\u00e9\U0001f600\n", score=0)
    assert isinstance(check(largest), by_hand.Profile)
    assert isinstance(check(b"\xef\xbb\xbf" + VALID), by_hand.Profile)
    padded = check(with_value(username=" Ada-1_ \n", website=None, favorite_band=None))
    assert isinstance(padded, by_hand.Profile)
    assert padded.username == "ada-1_"


COLUMNS = {
    "plain": "plain",
    "no echo": "no-echo",
    "+ bounds": "no-echo-bounds",
    "+ no NUL": "no-echo-storable",
    "all": "all",
    "finite alone": "finite",
    "strict alone": "strict",
    "by hand": "by-hand",
}


@pytest.mark.parametrize("title", COLUMNS)
def test_every_cell_of_the_quiz_is_as_claimed(running: Validated, title: str) -> None:
    """An upgrade that makes a claim false fails with the cell's name."""
    expected = claims.load()["2.2.1"].expected
    assert len(expected) == len(COLUMNS) * len(quiz.BODIES)
    statuses = running.statuses(COLUMNS[title], list(quiz.BODIES.values()))
    for label, status in zip(quiz.BODIES, statuses, strict=True):
        cell = f"{label}, {title}"
        assert (cell, str(status)) == (cell, expected[cell])


@pytest.mark.parametrize("where", ["embedded in a key", "two models", "a model of anything"])
def test_nan_where_the_model_stands_elsewhere(running: Validated, where: str) -> None:
    paths = {"embedded in a key": "embedded", "two models": "two", "a model of anything": "root"}
    (answer,) = ask(running.url, f"/elsewhere/{paths[where]}", [Body("", "", b"NaN")])
    assert answer.status == claims.load()["2.2.3"].expected[where]


@pytest.mark.parametrize("fields", [0, 5, 9])
def test_each_declared_field_is_a_place_for_a_500(running: Validated, fields: int) -> None:
    for path, cell in ((f"/fields/{fields}", f"{fields} fields"), ("/bare", "9 bare types")):
        found = []
        for bad in ("NaN", '"\\ud800"'):
            bodies = [
                Body("", key, json.dumps(COMPLETE | {key: None}).replace("null", bad).encode())
                for key in COMPLETE
            ]
            found.append(sum(one.status == 500 for one in ask(running.url, path, bodies)))
        assert "{} {}".format(*found) == claims.load()["2.2.3"].expected[cell]


def test_needs_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_DATABASE_URL", raising=False)
    with pytest.raises(RuntimeError, match="LAB_DATABASE_URL is not set"), serve(create_app()):
        pass


@needs_proc
def test_leaves_nothing(running: Validated) -> None:  # noqa: ARG001 for its Postgres
    with no_leftovers(), validated() as one:
        assert one.statuses("plain", [VALID, b"NaN", b"["]) == [200, 500, 422]
