"""The corpus sees what the remedies do, a remedy that is gone, and a model that is weaker."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model
from validated import Validated, hostile, validated

from lab_apps.instruments import claims, postgres
from lab_apps.practices.validation import answers, by_hand
from lab_apps.practices.validation.application import VARIANTS, Variant
from lab_apps.practices.validation.schemas import Profile, Safe

CORPUS = [body.bytes for body in hostile()]
FIT = [isinstance(by_hand.check(body), by_hand.Profile) for body in CORPUS]


class WithoutBounds(Safe):
    """Safe, but for the bounds of the columns."""

    age: Annotated[int, Field(ge=18, strict=True)]
    visits: Annotated[int, Field(ge=0, strict=True)] = 0


class WithNul(Safe):
    """Safe, but for NUL in a text."""

    first_name: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class WithInfinity(Safe):
    """Safe, but for infinite scores."""

    model_config = ConfigDict(allow_inf_nan=True)


# All remedies but one.
REMOVED = {
    "all-but-no-echo": Variant(Safe),
    "all-but-bounds": Variant(WithoutBounds, answers.without_input),
    "all-but-no-nul": Variant(WithNul, answers.without_input),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Validated]:
    with validated(VARIANTS | REMOVED) as one:
        yield one
    postgres.stop()


def test_the_corpus_is_large_enough() -> None:
    assert len(set(CORPUS)) >= 500
    assert 20 < sum(FIT) < len(FIT) / 2


@pytest.mark.parametrize("route", ["no-echo-storable", "all", "by-hand"])
def test_no_500_with_the_remedies(running: Validated, route: str) -> None:
    statuses = running.statuses(route, CORPUS)
    assert set(statuses) <= {200, 400, 422}
    refused_right = [
        body for body, s, fit in zip(CORPUS, statuses, FIT, strict=True) if fit > (s == 200)
    ]
    assert refused_right == []


@pytest.mark.parametrize("gone", REMOVED)
def test_a_remedy_that_is_gone_is_seen(running: Validated, gone: str) -> None:
    assert 500 in running.statuses(gone, CORPUS)


ROUTES = {
    "plain": "plain",
    "no echo": "no-echo",
    "bounds": "bounds",
    "no NUL": "no-nul",
    "finite": "finite",
    "strict": "strict",
    "strict numbers": "strict-numbers",
    "no other keys": "forbid",
    "no echo, bounds": "no-echo-bounds",
    "no echo, bounds, no NUL": "no-echo-storable",
    "all": "all",
    "by hand": "by-hand",
}


def test_every_route_is_claimed() -> None:
    assert ROUTES.keys() == claims.load()["2.2.5"].expected.keys()
    assert {*ROUTES.values()} == {*VARIANTS, "by-hand"}


@pytest.mark.parametrize("title", ROUTES)
def test_the_500s_are_as_claimed(running: Validated, title: str) -> None:
    expected = claims.load()["2.2.5"].expected
    assert running.statuses(ROUTES[title], CORPUS).count(500) == expected[title]


@pytest.mark.parametrize(("route", "what"), [("strict", ""), ("strict-numbers", "numbers only: ")])
def test_what_strict_refuses_is_as_claimed(running: Validated, route: str, what: str) -> None:
    each = list(zip(running.statuses(route, CORPUS), FIT, strict=True))
    expected = claims.load()["2.2.6"].expected
    assert sum(s == 422 and fit for s, fit in each) == expected[f"{what}right and refused"]
    let_in = sum(s == 200 and not fit for s, fit in each)
    assert let_in == expected[f"{what}accepted, refused by hand"]


def test_what_is_accepted_is_as_claimed(running: Validated) -> None:
    """Which a constraint of the model's that is weaker would change."""
    statuses = running.statuses("plain", CORPUS)
    judged = [by_hand.check(body) for body, s in zip(CORPUS, statuses, strict=True) if s == 200]
    reasons = Counter(problems[0].reason for problems in judged if isinstance(problems, list))
    assert reasons == claims.load()["2.2.4"].expected


def test_by_hand_route_does_as_it_checks(running: Validated) -> None:
    statuses = running.statuses("by-hand", CORPUS)
    assert [status == 200 for status in statuses] == FIT


def test_an_infinite_score_is_answered_as_null(running: Validated) -> None:
    body = b'{"first_name":"A","username":"a","email":"a@example.org","age":20,"score":1e400}'
    (answer,) = running.ask("plain", [body])
    row = json.loads(answer.body)
    assert row["score"] is None
    found = running.db.execute("SELECT score FROM profiles WHERE id = %s", [row["id"]]).fetchone()
    assert found == (float("inf"),)
    assert running.statuses("finite", [body]) == [500]
    assert running.statuses("all", [body]) == [422]


def accepted(model: type[BaseModel]) -> list[bool]:
    """Whether the model accepts each body of the corpus as FastAPI hands it over."""
    found = []
    for body in CORPUS:
        try:
            model.model_validate(json.loads(body))
        except (ValidationError, ValueError, RecursionError):
            found.append(False)
        else:
            found.append(True)
    return found


WEAKER: dict[str, tuple[str, Any]] = {
    "min_length": ("first_name", Annotated[str, StringConstraints(max_length=128)]),
    "max_length": ("first_name", Annotated[str, StringConstraints(min_length=1)]),
    "pattern": ("username", Annotated[str, StringConstraints(max_length=40)]),
    "e-mail": ("email", str),
    "bound of the age": ("age", int),
    "list of values": ("favorite_band", str | None),
    "URL": ("website", str | None),
    "bound of the visits": ("visits", int),
    "bound of the score": ("score", float),
    "max_length of the bio": ("bio", str | None),
}


@pytest.mark.parametrize("constraint", WEAKER)
def test_a_weaker_model_is_seen(constraint: str) -> None:
    field, annotation = WEAKER[constraint]
    default = Profile.model_fields[field].get_default()
    fields: Any = {field: (annotation, default)}
    weaker = create_model("Weaker", __base__=Profile, **fields)
    strong, weak = accepted(Profile), accepted(weaker)
    assert any(w > s for w, s in zip(weak, strong, strict=True)), f"nothing needs {constraint}"
    assert not any(w < s for w, s in zip(weak, strong, strict=True))


@pytest.mark.parametrize("weaker", [WithInfinity, WithNul, WithoutBounds])
def test_a_weaker_safe_model_is_seen(weaker: type[Profile]) -> None:
    assert any(w > s for w, s in zip(accepted(weaker), accepted(Safe), strict=True))
