"""Ways to refuse an upload. They differ in how much of it is received before the answer.

The same four routes, one for each kind of body, each behind a dependency that answers 401 or 404,
with a limit of their own, and with FastAPI's; and all of them once more behind a middleware.
`REFUSALS` lists them, and `WITHIN_LIMIT` those that FastAPI's limit leaves to the dependency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, File, HTTPException, Request, UploadFile
from fastapi.middleware import Middleware
from pydantic import BaseModel
from starlette.datastructures import UploadFile as FormFile

from lab_apps.practices.uploads.bearer import signed_in
from lab_apps.practices.uploads.gate import Gate

router = APIRouter(prefix="/refusing")
routes = APIRouter()

LIMIT = 2**20
ALBUMS = {1: "holidays"}


async def existing_album(album: int = 0) -> str:
    """A dependency: raises HTTPException 404 for an album that isn't there."""
    if album not in ALBUMS:
        raise HTTPException(404, f"no album {album}: there is {list(ALBUMS)}")
    return ALBUMS[album]


def within_limit(size: int) -> dict[str, int]:
    """What to answer to so many bytes; raises HTTPException 413 beyond the limit."""
    if size > LIMIT:
        raise HTTPException(413, f"at most {LIMIT} bytes")
    return {"received": size}


class Document(BaseModel):
    """A JSON body that carries its content as text."""

    data: str


# A refusing dependency is written with the path, not with the parameters, so that one function
# can stand behind several of them.
SIGNED_IN = [Depends(signed_in)]
EXISTING = [Depends(existing_album)]


@routes.post("/upload/401", dependencies=SIGNED_IN)
@routes.post("/upload/404", dependencies=EXISTING)
@routes.post("/upload/413")
@routes.post("/max-body-size/upload/401", dependencies=SIGNED_IN, max_body_size=LIMIT)
@routes.post("/max-body-size/upload/413", max_body_size=LIMIT)
async def upload(file: Annotated[UploadFile, File()]) -> dict[str, int]:
    """An `UploadFile`: FastAPI takes in and spools it before dependencies run."""
    return within_limit(file.size or 0)


@routes.post("/json/401", dependencies=SIGNED_IN)
@routes.post("/json/404", dependencies=EXISTING)
@routes.post("/json/413")
@routes.post("/max-body-size/json/401", dependencies=SIGNED_IN, max_body_size=LIMIT)
@routes.post("/max-body-size/json/413", max_body_size=LIMIT)
async def document(document: Document) -> dict[str, int]:
    """A JSON body: FastAPI takes it in and parses it before dependencies run."""
    return within_limit(len(document.data))


@routes.post("/stream/401", dependencies=SIGNED_IN)
@routes.post("/stream/404", dependencies=EXISTING)
@routes.post("/stream/413")
@routes.post("/max-body-size/stream/401", dependencies=SIGNED_IN, max_body_size=LIMIT)
@routes.post("/max-body-size/stream/413", max_body_size=LIMIT)
async def stream(request: Request) -> dict[str, int]:
    """A raw body, counted as it comes: dependencies run before the route asks for a byte of it."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
        within_limit(size)
    return within_limit(size)


@routes.post("/form/401", dependencies=SIGNED_IN)
@routes.post("/form/404", dependencies=EXISTING)
@routes.post("/form/413")
@routes.post("/max-body-size/form/401", dependencies=SIGNED_IN, max_body_size=LIMIT)
@routes.post("/max-body-size/form/413", max_body_size=LIMIT)
async def form(request: Request) -> dict[str, int]:
    """A form the route itself asks for: dependencies run before the body, its size comes after."""
    async with request.form() as fields:
        file = fields.get("file")
        if not isinstance(file, FormFile):  # fastapi.UploadFile is a subclass, which this isn't
            raise HTTPException(400, "send a file in the field `file`")
        return within_limit(file.size or 0)


router.include_router(routes)

gated = FastAPI(middleware=[Middleware(Gate, limit=LIMIT)])
gated.include_router(routes)


@dataclass(frozen=True)
class Refusal:
    """A way to refuse: the kind of body, the status, what is done for it, and the path."""

    kind: str
    answer: int
    remedy: str
    path: str


KINDS = ("upload", "json", "stream", "form")
NONE, OWN, COUNTED = "no remedy", "route reads the body", "route counts the stream"
GATE, FRAMEWORK = "middleware", "max_body_size"

REFUSALS = [
    *(Refusal(kind, 401, NONE, f"/refusing/{kind}/401") for kind in ("upload", "json")),
    *(Refusal(kind, 404, NONE, f"/refusing/{kind}/404") for kind in ("upload", "json")),
    *(Refusal(kind, 413, NONE, f"/refusing/{kind}/413") for kind in ("upload", "json", "form")),
    *(Refusal(kind, 401, OWN, f"/refusing/{kind}/401") for kind in ("stream", "form")),
    *(Refusal(kind, 404, OWN, f"/refusing/{kind}/404") for kind in ("stream", "form")),
    Refusal("stream", 413, COUNTED, "/refusing/stream/413"),
    *(Refusal(kind, 401, GATE, f"/refusing/middleware/{kind}/401") for kind in KINDS),
    *(Refusal(kind, 413, GATE, f"/refusing/middleware/{kind}/413") for kind in KINDS),
    *(Refusal(kind, 413, FRAMEWORK, f"/refusing/max-body-size/{kind}/413") for kind in KINDS),
]

# A body over FastAPI's limit gets its 413 here too, token or not: offer these no more than LIMIT.
WITHIN_LIMIT = [
    Refusal(kind, 401, FRAMEWORK, f"/refusing/max-body-size/{kind}/401") for kind in KINDS
]
