"""What to answer to a body that was rejected, without failing on it once more."""

from __future__ import annotations

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

SAID = ("type", "loc", "msg")


async def without_input(_: Request, error: RequestValidationError) -> JSONResponse:
    """422 with what is wrong and where, without `input` and `ctx`, which have the value.

    A few messages have it too, such as that of a discriminator whose tag is none of its.
    """
    detail = [{name: one[name] for name in SAID} for one in error.errors()]
    return JSONResponse({"detail": detail}, 422)
