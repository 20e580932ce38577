"""The same route without Pydantic and FastAPI: what a body must be, written as code.

It says of every body whether it should have been accepted. Where Pydantic converts, it refuses.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import Response

from lab_apps.practices.validation.database import insert

USERNAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
# https://html.spec.whatwg.org/#valid-e-mail-address, with a dot in the domain.
LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
EMAIL = re.compile(rf"[\w.!#$%&'*+/=?^`{{|}}~-]+@{LABEL}(?:\.{LABEL})+", re.ASCII)
WEBSITE = re.compile(rf"https?://{LABEL}(?:\.{LABEL})*(?::\d{{0,5}})?(?:[/?#][!-~]*)?")
BANDS = ("AEROSMITH", "QUEEN", "AC/DC")
EMAIL_LENGTH, WEBSITE_LENGTH = 254, 2083


@dataclass(frozen=True)
class Problem:
    """What is wrong, and with which field; "" is the whole body."""

    field: str
    reason: str


@dataclass(frozen=True)
class Profile:
    """A profile that may be stored."""

    first_name: str
    username: str
    email: str
    age: int
    favorite_band: str | None = None
    website: str | None = None
    visits: int = 0
    score: float = 0.0
    bio: str | None = None


class Refused(ValueError):
    """Says why in its message."""


def check(body: bytes) -> Profile | list[Problem]:
    """The profile, or everything that is wrong with the body; raises nothing."""
    try:
        text = body.decode("utf-8-sig")  # a mark may be ignored: RFC 8259, section 8.1
        document = json.loads(text, object_pairs_hook=unique, parse_constant=no_number)
    except UnicodeDecodeError:
        return [Problem("", "not UTF-8")]
    except json.JSONDecodeError:
        return [Problem("", "not JSON")]
    except RecursionError:
        return [Problem("", "nested too deeply")]
    except ValueError as error:  # a Refused, or int()'s on more than 4,300 digits
        reason = str(error) if isinstance(error, Refused) else "number too long"
        return [Problem("", reason)]
    if not isinstance(document, dict):
        return [Problem("", "no object")]
    problems = [Problem(key, "unknown field") for key in document if key not in FIELDS]
    values = {}
    for name, of in FIELDS.items():
        if name in document:
            try:
                values[name] = of(document[name])
            except Refused as error:
                problems.append(Problem(name, str(error)))
        elif name in REQUIRED:
            problems.append(Problem(name, "missing"))
    return problems or Profile(**values)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object, if no key is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused("key twice")
    return found


def no_number(_: str) -> NoReturn:
    """NaN, Infinity and -Infinity are no JSON (RFC 8259, section 6)."""
    raise Refused("not JSON: NaN or Infinity")


def text(value: object, most: int) -> str:
    """Text that UTF-8 and Postgres can hold."""
    if not isinstance(value, str):
        raise Refused("no text")
    if "\0" in value:
        raise Refused("NUL")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Refused("lone surrogate")
    if len(value) > most:
        raise Refused("too long")
    return value


def first_name(value: object) -> str:
    """Some character of it can be seen."""
    name = text(value, 128)
    if all(unicodedata.category(character)[0] in "CZ" for character in name):
        raise Refused("nothing to see")
    return name


def matching(value: object, pattern: re.Pattern[str], most: int) -> str:
    """Text that is nothing but a match. ASCII, though domains exist that are not."""
    found = text(value, most)
    if not found.isascii():
        raise Refused("not ASCII")
    if not pattern.fullmatch(found):
        raise Refused("wrong form")
    return found


def username(value: object) -> str:
    """Stripped and in lower case, as the model has it."""
    return matching(text(value, 100).strip(), USERNAME, 40).lower()


def integer(value: object, least: int, most: int) -> int:
    """An integer; a bool is none."""
    if type(value) is not int:
        raise Refused("no integer")
    if not least <= value <= most:
        raise Refused("out of range")
    return value


def score(value: object) -> float:
    """A number that is finite and not negative."""
    if type(value) not in (int, float):
        raise Refused("no number")
    assert isinstance(value, int | float)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 <= number < math.inf:
        raise Refused("out of range")
    return number


def band(value: object) -> str:
    """One of the list."""
    if not (isinstance(value, str) and value in BANDS):
        raise Refused("not on the list")
    return value


def optional(of: Callable[[object], Any]) -> Callable[[object], Any]:
    """The same, or null."""
    return lambda value: None if value is None else of(value)


REQUIRED = ("first_name", "username", "email", "age")
FIELDS: dict[str, Callable[[object], Any]] = {
    "first_name": first_name,
    "username": username,
    "email": lambda value: matching(value, EMAIL, EMAIL_LENGTH),
    "age": lambda value: integer(value, 18, 2**31 - 1),
    "favorite_band": optional(band),
    "website": optional(lambda value: matching(value, WEBSITE, WEBSITE_LENGTH)),
    "visits": lambda value: integer(value, 0, 2**63 - 1),
    "score": score,
    "bio": optional(lambda value: text(value, 500)),
}


async def create(request: Request) -> Response:
    """Store the profile of the body, or answer 422 with its problems."""
    checked = check(await request.body())
    if isinstance(checked, Profile):
        return json_response(asdict(await insert(request.state.pool, asdict(checked))))
    return json_response({"detail": [asdict(problem) for problem in checked]}, 422)


def json_response(content: object, status: int = 200) -> Response:
    """JSON in ASCII: a key with a lone surrogate can be written in no other way."""
    return Response(json.dumps(content, allow_nan=False), status, media_type="application/json")
