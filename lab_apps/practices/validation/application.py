"""The app of practice 2: the same route under several paths, each with other remedies."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from starlette.routing import Route

from lab_apps.practices.validation import answers, by_hand, fields, profiles, schemas, traps
from lab_apps.practices.validation.database import lifespan_of


@dataclass(frozen=True)
class Variant:
    """A model, and how a rejected body is answered: by default as FastAPI does."""

    model: type[schemas.Profile] = schemas.Profile
    on_invalid: Callable[[Request, Any], Coroutine[Any, Any, Response]] = (
        request_validation_exception_handler
    )


VARIANTS = {
    "plain": Variant(),
    # each remedy alone
    "no-echo": Variant(on_invalid=answers.without_input),
    "bounds": Variant(schemas.Bounded),
    "no-nul": Variant(schemas.WithoutNul),
    "finite": Variant(schemas.Finite),
    "strict": Variant(schemas.Strict),
    "strict-numbers": Variant(schemas.StrictNumbers),
    "forbid": Variant(schemas.Forbidding),
    # step by step
    "no-echo-bounds": Variant(schemas.Bounded, answers.without_input),
    "no-echo-storable": Variant(schemas.Storable, answers.without_input),
    "all": Variant(schemas.Safe, answers.without_input),
}


def create_app(url: str | None = None, variants: Mapping[str, Variant] = VARIANTS) -> FastAPI:
    """The app on the Postgres at `url`, by default at that of LAB_DATABASE_URL.

    `POST /{name}/profiles` for each variant, `POST /by-hand/profiles`, and what is in `fields` and
    `traps`. The variable is read, and the database connected to, when the app starts.
    """
    app = FastAPI(title="Practice 2: validation", lifespan=lifespan_of(url))
    app.router.routes.append(Route("/by-hand/profiles", by_hand.create, methods=["POST"]))
    for part in (fields, traps):
        app.include_router(part.router)
    for name, variant in variants.items():
        mounted = FastAPI(exception_handlers={RequestValidationError: variant.on_invalid})
        mounted.include_router(profiles.router_of(variant.model))
        app.mount(f"/{name}", mounted)
    return app


app = create_app()
