"""The app that a server serves: an object, a function that makes one, or a name of either."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

ASGIApp: TypeAlias = Callable[..., Any]
App: TypeAlias = ASGIApp | str


def load(app: App) -> ASGIApp:
    """The ASGI app meant by an app, a function that makes one, or "module:name" of either.

    Raises ValueError for what is none of these.
    """
    found: Any = app
    if isinstance(app, str):
        module, _, name = app.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(f'can\'t import the app {app!r} ("module:name"): {error}') from error
    makes = inspect.isfunction(found) and not inspect.iscoroutinefunction(found)
    made: ASGIApp = found() if makes else found
    if not callable(made):
        raise ValueError(f"{app!r} is no ASGI app, nor a function that makes one")
    return made
