"""Pydantic 1, which ships inside Pydantic 2, where it can be used: not with Python 3.14."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

from lab_apps.practices.validation.traps.values import shown

MISSING = "–"
Field: TypeAlias = Callable[[Any], Any]  # of the module pydantic.v1: a type, or (type, default)


def usable() -> Any | None:
    """The module `pydantic.v1`, or None where it can't be imported or can't build a model."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # with Python 3.14 it warns before it fails
            module = importlib.import_module("pydantic.v1")
            module.create_model("Tried", number=(int, 1))()
    except Exception:
        return None
    return module


def outcome(name: str, field: Field, body: bytes) -> str:
    """What a model with this one field makes of the body: the value, or "422".

    FastAPI takes no such model, so this is the model alone; "422" is its ValidationError. "–" where
    Pydantic 1 can't be used.
    """
    v1 = usable()
    if v1 is None:
        return MISSING
    kind = field(v1)
    annotation, *default = kind if isinstance(kind, tuple) else (kind,)
    # Not create_model, which takes (int | None, ...) for required.
    members: dict[str, Any] = {"__module__": __name__, "__annotations__": {name: annotation}}
    if default:
        members[name] = default[0]
    model: Any = type("Trap", (v1.BaseModel,), members)
    try:
        return shown(getattr(model.parse_raw(body), name))
    except v1.ValidationError:
        return "422"
