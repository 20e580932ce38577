"""What is sent to a union, and what its author meant to come out."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, get_args, get_origin
from uuid import UUID

from lab_apps.practices.unions import content_v1
from lab_apps.practices.unions.content import Article, Book, Colour, Song, Video

REFUSED = "refused"
LONG = 35


@dataclass(frozen=True)
class Case:
    """A union's members in order, the JSON sent to it, and what is meant, as `described` says it.

    `kind` is what a client adds, as `"kind"`, where the form is discriminated; "" for members that
    can't have one. `group` says what the case is there for.
    """

    group: str
    members: tuple[Any, ...]
    sent: str
    meant: str
    kind: str = ""

    @property
    def name(self) -> str:
        """Such as `int | str ← "1"`; an id is cut."""
        sent = self.sent if len(self.sent) < LONG else f'{self.sent[:9]}…"'
        return f"{' | '.join(map(_name, self.members))} ← {sent}"

    @property
    def turned(self) -> Case:
        """The same with its members in the other order."""
        return dataclasses.replace(self, members=self.members[::-1])

    @property
    def body(self) -> bytes:
        """The JSON of a post with that content."""
        return f'{{"content":{self.sent}}}'.encode()

    @property
    def tagged_body(self) -> bytes:
        """The same with the kind."""
        return json.dumps({"content": {"kind": self.kind, **json.loads(self.sent)}}).encode()

    def in_v1(self) -> tuple[Any, ...]:
        """The members in Pydantic 1."""
        return tuple(map(_in_v1, self.members))


def _in_v1(member: Any) -> Any:
    if get_origin(member) is list:
        return list[_in_v1(*get_args(member))]  # type: ignore[misc]
    return getattr(content_v1, _name(member), member)


def _name(member: Any) -> str:
    if get_origin(member) is list:
        return f"list[{_name(*get_args(member))}]"
    return str(member.__name__)


def described(value: Any) -> str:
    """The type of what came out, of a list those in it, of numbers also the value."""
    if isinstance(value, list):
        return f"[{', '.join(sorted({type(item).__name__ for item in value}))}]"
    name = type(value).__name__
    for prefix in ("KindOf", "Strict", "Exact"):
        name = name.removeprefix(prefix)
    if isinstance(value, Decimal):
        return f"{name} {value}"
    return f"{name} {json.dumps(value)}" if type(value) in (bool, int, float) else name


ID = '"6f1c0d6e-90a4-4cb6-8d5c-3c1f5d1f7a10"'
VIDEO, TYPO = '{"video_id":1,"text":"t"}', '{"video_id":"oops","text":"t"}'

CASES = (
    Case("article", (bool, int), "1", "int 1"),
    Case("article", (int, str), '"1"', "str"),
    Case("article", (Article, Video), VIDEO, "Video", "video"),
    Case("article", (Video, Article), VIDEO, "Video", "video"),
    Case("scalar", (int, str), '"007"', "str"),
    Case("scalar", (int, str), '"1.0"', "str"),
    Case("scalar", (str, int), "1", "int 1"),
    Case("scalar", (int, str), "true", REFUSED),
    Case("scalar", (bool, int), '"1"', "int 1"),
    Case("scalar", (bool, int), "true", "bool true"),
    Case("scalar", (int, bool), "true", "bool true"),
    Case("scalar", (int, float), "1.5", "float 1.5"),
    Case("scalar", (int, float), "1.0", "float 1.0"),
    Case("scalar", (float, int), "1", "int 1"),
    Case("scalar", (int, str), "1.5", REFUSED),
    Case("scalar", (list[int], list[str]), '["1","2"]', "[str]"),
    # Types that JSON writes as strings.
    Case("string", (UUID, str), ID, "UUID"),
    Case("string", (str, UUID), ID, "UUID"),
    Case("string", (date, str), '"2026-11-25"', "date"),
    Case("string", (datetime, date), '"2026-11-25"', "date"),
    Case("string", (Decimal, str), '"0.10"', "Decimal 0.10"),
    Case("string", (Colour, str), '"red"', "Colour"),
    Case("model", (Article, Video), '{"text":"t"}', "Article", "article"),
    Case("model", (list[Article], list[Video]), f"[{VIDEO}]", "[Video]"),
    Case("model", (dict, Video), VIDEO, "Video"),
    Case("typo", (Article, Video), TYPO, REFUSED, "video"),
    Case("typo", (Video, Article), TYPO, REFUSED, "video"),
    Case("typo", (Article, Video), '{"videoid":1,"text":"t"}', REFUSED, "video"),
    Case("tie", (Song, Book), '{"title":"t"}', "Book", "book"),
)

# Of which none is an "x".
MANY = (int, float, bool, date, UUID)

EVERY = tuple(dict.fromkeys((*CASES, *(case.turned for case in CASES))))  # both orders of each
