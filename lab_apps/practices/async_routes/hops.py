"""Routes that do nothing, and what FastAPI hands to the thread pool on their behalf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, File, Request, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

router = APIRouter(prefix="/hops")


class Done(BaseModel):
    """An answer with a response model."""

    done: bool = True


class Page(BaseModel):
    """A Pydantic class used as a dependency: query parameters."""

    page: int = 1


def settings() -> str:
    """A sync dependency."""
    return "settings"


async def async_settings() -> str:
    """The same as a coroutine function."""
    return "settings"


def session() -> Iterator[str]:
    """A sync dependency with a `yield`."""
    yield "session"


@router.get("/async", response_model=None)
async def in_async() -> None:
    """Nothing goes to the pool."""


@router.get("/async-model")
async def async_model() -> Done:
    """The answer is validated on the loop."""
    return Done()


@router.get("/async-dependency", response_model=None)
async def async_dependency(_: Annotated[str, Depends(async_settings)]) -> None:
    """An `async` dependency stays on the loop."""


@router.get("/sync-dependency", response_model=None)
async def sync_dependency(_: Annotated[str, Depends(settings)]) -> None:
    """A `def` dependency takes a thread, of an `async` route too."""


@router.get("/class-dependency", response_model=None)
async def class_dependency(_: Annotated[Page, Depends()]) -> None:
    """A class is called like a function that isn't async."""


@router.get("/yield-dependency", response_model=None)
async def yield_dependency(_: Annotated[str, Depends(session)]) -> None:
    """Entered and left in a thread."""


@router.get("/def", response_model=None)
def in_def() -> None:
    """The route itself."""


@router.get("/def-model")
def def_model() -> Done:
    """The route, then its answer, to be validated."""
    return Done()


@router.post("/upload", response_model=None)
async def upload(file: Annotated[UploadFile, File()]) -> None:
    """A file that has outgrown memory (1 MiB) is written to disk in threads, and read there."""
    await file.read()


@router.get("/file", response_model=None)
async def file(request: Request) -> FileResponse:
    """A file's size, its opening, its pieces, its closing."""
    return FileResponse(request.app.state.file)


@router.get("/stream", response_model=None)
async def stream() -> StreamingResponse:
    """A generator that isn't async: a thread for each piece, and one to find its end."""
    return StreamingResponse(iter(["one", "two"]))
