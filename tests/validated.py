"""What the tests of practice 2 share: its app on a schema of its own, and its corpus."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from lab_apps.instruments import postgres
from lab_apps.instruments.hostile_json import Answer, Body, ask, corpus
from lab_apps.instruments.server import serve
from lab_apps.practices.validation import create_app
from lab_apps.practices.validation.application import VARIANTS, Variant
from lab_apps.practices.validation.quiz import COMPLETE

VALID = json.dumps(COMPLETE).encode()


def hostile() -> list[Body]:
    """The notebook's corpus, without the bodies whose fate Python's recursion limit decides."""
    return [body for body in corpus(VALID, seed=2) if not body.kind.startswith("depth")]


@dataclass(frozen=True)
class Validated:
    """A running app and its database."""

    url: str
    db: psycopg.Connection[Any]

    def ask(self, variant: str, bodies: Sequence[bytes]) -> list[Answer]:
        """The answers of that variant's route."""
        return ask(self.url, f"/{variant}/profiles", [Body("", "", body) for body in bodies])

    def statuses(self, variant: str, bodies: Sequence[bytes]) -> list[int]:
        """Of the same."""
        return [answer.status for answer in self.ask(variant, bodies)]


@contextlib.contextmanager
def validated(variants: Mapping[str, Variant] = VARIANTS) -> Iterator[Validated]:
    """The app with those variants, on an empty schema, while the block runs."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres.database().schema()).url
        server = stack.enter_context(serve(create_app(url, variants)))
        db = stack.enter_context(psycopg.connect(url, autocommit=True))
        yield Validated(server.url, db)
