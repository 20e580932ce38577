"""The forms of a union that a case is sent to, each giving what came out as text."""

import json
from collections.abc import Callable, Mapping
from functools import partial, reduce
from operator import or_
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, ValidationError, create_model

from lab_apps.practices.unions import content, content_v1
from lab_apps.practices.unions.cases import EVERY, MANY, REFUSED, Case, described

MISSING = "–"  # where a form can't be had
TAGGED = ("with-a-kind", "discriminated")  # the forms that are sent the kind

router = APIRouter()


def union(members: tuple[Any, ...]) -> Any:
    """`a | b | …` of these."""
    return reduce(or_, members)


def smart(case: Case) -> Any:
    """As Pydantic 2 takes a union by default."""
    return union(case.members)


def left_to_right(case: Case) -> Any:
    """The first member that fits."""
    return Annotated[union(case.members), Field(union_mode="left_to_right")]


def discriminated(case: Case) -> Any:
    """The member that the content says it is."""
    return Annotated[union(_variants("KindOf", case)), Field(discriminator="kind")]


def with_a_kind(case: Case) -> Any:
    """The same members in a plain union: what a kind does without a discriminator."""
    return union(_variants("KindOf", case))


def forbidding(case: Case) -> Any:
    """Members that take no other keys (`extra="forbid"`)."""
    return union(_variants("Strict", case))


def exact(case: Case) -> Any:
    """Members that take their set of keys and no other, as the article has it."""
    return union(_variants("Exact", case))


def _variants(prefix: str, case: Case) -> tuple[Any, ...]:
    return tuple(getattr(content, prefix + member.__name__) for member in case.members)


ENDPOINTS: Mapping[str, Callable[[Case], Any]] = {
    "smart": smart,
    "left-to-right": left_to_right,
    "with-a-kind": with_a_kind,
    "discriminated": discriminated,
    "forbidding": forbidding,
    "exact": exact,
}


def post(annotation: Any) -> type[BaseModel]:
    """A model with one field, `content`, of that type."""
    model: type[BaseModel] = create_model("Post", content=(annotation, ...))
    return model


def add(path: str, annotation: Any) -> None:
    """Add the endpoint of a post with such content: it answers with what came out."""

    model = post(annotation)

    @router.post(path)
    async def take(body: model) -> dict[str, str]:  # type: ignore[valid-type]
        return {"value": described(body.content)}  # type: ignore[attr-defined]


def path(form: str, case: Case) -> str | None:
    """Where the endpoint of that form takes a case; None where its members have no such form."""
    try:
        ENDPOINTS[form](case)
    except AttributeError:
        return None
    return f"/{form}/{EVERY.index(case)}"


for _case in EVERY:
    for _form, _annotated in ENDPOINTS.items():
        if _path := path(_form, _case):
            add(_path, _annotated(_case))

for _many in range(2, len(MANY) + 1):
    add(f"/errors/{_many}", union(MANY[:_many]))


def columns(ask: Callable[[str, bytes], str]) -> dict[str, Callable[[Case], str]]:
    """The forms by their short names; each gives what comes out of a case.

    `ask(path, body)` sends the body to a server and gives the `value` of its answer, or its status.
    """

    def endpoint(form: str) -> Callable[[Case], str]:
        def asked(case: Case) -> str:
            where = path(form, case)
            if where is None:
                return MISSING
            answer = ask(where, case.tagged_body if form in TAGGED else case.body)
            return REFUSED if answer == "422" else answer

        return asked

    return {
        "Pydantic 1": in_v1,
        "1, smart": partial(in_v1, smart_union=True),
        "2, endpoint": endpoint("smart"),
        "2, JSON": from_json,
        "2, left to right": endpoint("left-to-right"),
        "2, no other keys": endpoint("forbidding"),
        "2, key sets": endpoint("exact"),
        "2, with a kind": endpoint("with-a-kind"),
        "2, discriminated": endpoint("discriminated"),
    }


def from_json(case: Case) -> str:
    """What `model_validate_json` makes of the body, as models are often tested."""
    return _made(post(smart(case)).model_validate_json, case.body)


def from_objects(case: Case, form: Callable[[Case], Any] = smart) -> str:
    """What `model_validate` makes of the parsed body, which is how FastAPI calls it."""
    return _made(post(form(case)).model_validate, json.loads(case.body))


def _made(validate: Callable[[Any], Any], body: object) -> str:
    try:
        return described(validate(body).content)
    except ValidationError:
        return REFUSED


def in_v1(case: Case, *, smart_union: bool = False) -> str:
    """What Pydantic 1 makes of it; `MISSING` where that can't be used."""
    if content_v1.WHY_NOT:
        return MISSING
    model = content_v1.post(union(case.in_v1()), smart=smart_union)
    try:
        return described(model.parse_raw(case.body).content)
    except ValueError:  # of which Pydantic 1's ValidationError is one
        return REFUSED
