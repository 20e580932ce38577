"""Text: what is counted, what is stripped, and in which order the rules apply."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import StringConstraints

from lab_apps.practices.validation.traps import pydantic1
from lab_apps.practices.validation.traps.values import Form, Row, add, model_of, value_of

router = APIRouter(prefix="/traps/texts")

RULES: dict[str, dict[str, Any]] = {
    "at most 1": {"max_length": 1},
    "at least 5": {"min_length": 5},
    "strip, at least 1": {"strip_whitespace": True, "min_length": 1},
    "upper, at most 1": {"to_upper": True, "max_length": 1},
    "lower, ^[a-z]+$": {"to_lower": True, "pattern": "^[a-z]+$"},
}
# The rule, what is sent, its name where it can't be printed, and what is meant.
SENT = (
    ("at most 1", "e\u0301", "é of two", ascii("e\u0301")),
    ("at least 5", "👨‍👩‍👧", "1 family", "422"),
    ("strip, at least 1", "\u3000", "U+3000, blank", "422"),
    ("strip, at least 1", "\u200b", "U+200B, no width", "422"),
    ("strip, at least 1", "\x1f", "U+001F, control", "422"),
    ("upper, at most 1", "\ufb03", "U+FB03, ligature", "422"),
    ("lower, ^[a-z]+$", "ABC", "ABC", "abc"),
)

for rule, constraints in RULES.items():
    add(router, f"/{rule}", model_of(Annotated[str, StringConstraints(**constraints)]))


def version1(rule: str, body: bytes) -> str:
    """What Pydantic 1 makes of it, where `pattern` is called `regex`."""
    named = {"regex" if k == "pattern" else k: value for k, value in RULES[rule].items()}
    return pydantic1.outcome("value", lambda v1: v1.constr(**named), body)


ROWS: dict[str, Row] = {
    f"{rule} ← {name}": (rule, value_of(json.dumps(text))) for rule, text, name, _ in SENT
}
MEANT = {f"{rule} ← {name}": expected for rule, _, name, expected in SENT}
FORMS: dict[str, Form] = {"Pydantic 1": version1, "2, endpoint": "/traps/texts"}
