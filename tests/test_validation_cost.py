"""What is timed in practice 2 does what its name says, and the verdicts on it can fail."""

from __future__ import annotations

import json
from typing import Any, get_args

import httpx
import pytest
from helpers import attempts

from lab_apps.instruments import asgi_call, claims, machine
from lab_apps.instruments.microtiming import Microtiming
from lab_apps.instruments.outcomes import posted
from lab_apps.instruments.server import serve
from lab_apps.practices.validation import by_hand, cost
from lab_apps.practices.validation.quiz import COMPLETE
from lab_apps.practices.validation.schemas import Profile
from lab_apps.practices.validation.traps import patterns

CLAIMS = claims.load()
KINDS = get_args(cost.Kind)
STATUS = {"valid": 204, "one wrong": 422, "all wrong": 422}
WRONG = {"valid": 0, "one wrong": 1, "all wrong": 9}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["Pydantic", "Pydantic, bytes", "Pydantic, e-mail by pattern"])
def test_a_body_is_validated_to_a_model_or_to_that_many_errors(
    how: cost.How, kind: cost.Kind
) -> None:
    found: Any = cost.validating(how, kind)()
    if kind == "valid":
        assert isinstance(found, Profile)
        website = f"{COMPLETE['website']}/"  # which it adds
        assert found.model_dump(mode="json") == COMPLETE | {"website": website}
    else:
        assert len(found) == WRONG[kind]
        assert isinstance(cost.validating(how, kind, 3)(), list)
    assert cost.validating("json.loads", kind)() == cost.DOCUMENTS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_by_hand_finds_as_much_wrong(kind: cost.Kind) -> None:
    found: Any = cost.checking(kind)()
    assert isinstance(found, by_hand.Profile) if kind == "valid" else len(found) == WRONG[kind]


def test_lists_are_of_so_many_models() -> None:
    found: Any = cost.validating("Pydantic", "valid", 5)()
    assert [type(one) for one in found] == [Profile] * 5
    assert len(json.loads(cost.body("valid", 5))) == 5


def test_only_the_e_mail_address_is_checked_in_another_way() -> None:
    def differing(of: type[Profile]) -> dict[str, tuple[Any, Any]]:
        return {name: (f.annotation, f.metadata) for name, f in of.model_fields.items()}

    usual, by_pattern = differing(Profile), differing(cost.ByPattern)
    assert {name for name in usual if usual[name] != by_pattern[name]} == {"email"}
    for address, fits in (("ada@example.org", True), ("ada", False), ("ada@example.org\n", False)):
        document = COMPLETE | {"email": address}
        assert isinstance(by_hand.check(json.dumps(document).encode()), by_hand.Profile) == fits
        assert accepts(cost.ByPattern, document) == fits


def accepts(model: type[Profile], document: dict[str, Any]) -> bool:
    try:
        model.model_validate(document)
    except ValueError:
        return False
    return True


APPS = ("with_pydantic", "with_starlette", "nothing_declared")


def request(app: str, kind: cost.Kind) -> tuple[Any, ...]:
    """The arm of a request through one of the apps."""
    status = 204 if app == "nothing_declared" else STATUS[kind]
    return asgi_call.requesting, (f"{cost.__name__}:{app}", "/", cost.body(kind), status)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("app", APPS)
def test_requests_end_as_they_should_each_time(app: str, kind: cost.Kind) -> None:
    """The null arm reads and validates nothing."""
    prepare, args = request(app, kind)
    work = prepare(*args)
    answers = {work(), work()}
    assert len(answers) == 1
    assert (answers == {0}) == (args[-1] == 204)


def test_the_route_for_lists() -> None:
    with serve(cost.app) as server, httpx.Client(base_url=server.url) as client:
        assert posted(client, "/profiles", cost.body("valid", 7)) == "7"
        assert posted(client, "/profiles", cost.body("one wrong", 7)) == "422"
        assert client.get("/victim").json() == {"victim": "served"}


PYDANTIC = (cost.validating, ("Pydantic",))
BY_PATTERN = (cost.validating, ("Pydantic, e-mail by pattern",))
BY_HAND: tuple[Any, ...] = (cost.checking, ())
VALID_REQUEST = request("with_pydantic", "valid")
# The arms of each ratio claim, as the notebook has them, and what comes of it.
ARMS: dict[str, tuple[Any, Any, str]] = {
    "2.3": (BY_HAND, PYDANTIC, "refuted"),
    "2.3.1": (PYDANTIC, BY_PATTERN, "supported"),
    "2.3.2": (BY_HAND, BY_PATTERN, "supported"),
    "2.3.3": (request("with_pydantic", "all wrong"), VALID_REQUEST, "supported"),
    "2.3.5": (VALID_REQUEST, PYDANTIC, "supported"),
    "2.3.7": (VALID_REQUEST, request("with_starlette", "valid"), "supported"),
    "2.1.13": (
        (patterns.checking, ("python-re", 16)),
        (patterns.checking, ("python-re", 10)),
        "supported",
    ),
}


def check_verdicts() -> None:
    """As in the notebook, and refuted of an arm against itself."""
    arms = {
        f"{id}{side}": arm
        for id, of in ARMS.items()
        for side, arm in zip("ab", of[:2], strict=True)
    }
    timing = Microtiming(arms, seed=2)
    for id, (_, _, outcome) in ARMS.items():
        assert claims.judge(CLAIMS[id], timing.pairs(f"{id}a", f"{id}b")).outcome == outcome, id
        same = claims.judge(CLAIMS[id], timing.pairs(f"{id}b", f"{id}b"))
        assert same.outcome == "refuted", id


def test_every_ratio_claim_on_cost_has_its_arms() -> None:
    ratios = {id for id, c in CLAIMS.items() if id.startswith("2.") and c.kind == "ratio"}
    assert ratios == ARMS.keys()


@pytest.mark.skipif(machine.why_no_timing() is not None, reason="needs schedstat")
def test_verdicts_and_their_opposites() -> None:
    attempts(check_verdicts)
