"""What is timed in practice 2 does what its name says, and the verdicts on it can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI
from helpers import attempts

from lab_apps.instruments import claims, machine
from lab_apps.instruments.microtiming import Microtiming
from lab_apps.instruments.outcomes import posted
from lab_apps.instruments.server import serve
from lab_apps.practices.validation import by_hand, cost
from lab_apps.practices.validation.schemas import Profile

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
        assert found.model_dump(mode="json") == cost.VALID
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
        document = cost.VALID | {"email": address}
        assert isinstance(by_hand.check(json.dumps(document).encode()), by_hand.Profile) == fits
        assert accepts(cost.ByPattern, document) == fits


def accepts(model: type[Profile], document: dict[str, Any]) -> bool:
    try:
        model.model_validate(document)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["FastAPI, Pydantic", "Starlette, by hand"])
def test_requests_end_as_they_should_each_time(which: cost.Which, kind: cost.Kind) -> None:
    request = cost.requesting(which, kind)
    assert [request(), request()] == [STATUS[kind]] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_null_arm_reads_and_validates_nothing(kind: cost.Kind) -> None:
    assert cost.requesting("FastAPI, nothing declared", kind)() == 204


def test_an_app_that_waits_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    async def slow() -> None:
        await asyncio.sleep(0)

    app = FastAPI()
    app.post("/")(slow)
    monkeypatch.setattr(cost, "app_of", lambda _: app)
    with pytest.raises(RuntimeError, match="waits"):
        cost.requesting("FastAPI, Pydantic")()


def test_the_route_for_lists() -> None:
    with serve(cost.app) as server, httpx.Client(base_url=server.url) as client:
        assert posted(client, "/profiles", cost.body("valid", 7)) == "7"
        assert posted(client, "/profiles", cost.body("one wrong", 7)) == "422"
        assert client.get("/victim").json() == {"victim": "served"}


# The order of the arms of each ratio claim, as the notebook has them.
ARMS: dict[str, tuple[tuple[Callable[..., Any], tuple[Any, ...]], ...]] = {
    "2.3.1": (
        (cost.validating, ("Pydantic",)),
        (cost.validating, ("Pydantic, e-mail by pattern",)),
    ),
    "2.3.3": (
        (cost.requesting, ("FastAPI, Pydantic", "all wrong")),
        (cost.requesting, ("FastAPI, Pydantic", "valid")),
    ),
    "2.3.5": ((cost.requesting, ("FastAPI, Pydantic", "valid")), (cost.validating, ("Pydantic",))),
}


def check_verdicts() -> None:
    """Each is supported, and refuted of an arm against itself."""
    arms = {
        f"{id}{side}": arm for id, of in ARMS.items() for side, arm in zip("ab", of, strict=True)
    }
    timing = Microtiming(arms, seed=2)
    for id in ARMS:
        assert claims.judge(CLAIMS[id], timing.pairs(f"{id}a", f"{id}b")).outcome == "supported", id
        same = claims.judge(CLAIMS[id], timing.pairs(f"{id}b", f"{id}b"))
        assert same.outcome == "refuted", id


@pytest.mark.skipif(machine.why_no_timing() is not None, reason="needs schedstat")
def test_verdicts_and_their_opposites() -> None:
    attempts(check_verdicts)
