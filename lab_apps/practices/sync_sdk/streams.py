"""An answer that comes in pieces, passed on as it comes.

All but the first begin the upstream's stream before they return a response: an upstream that fails
then is the route's error, and not a 200 that breaks off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from fastapi import APIRouter, Request
from fastapi.concurrency import iterate_in_threadpool, run_in_threadpool
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, AsyncStream, OpenAI, Stream
from openai.types.chat import ChatCompletionChunk

from lab_apps.practices.sync_sdk.chats import question
from lab_apps.practices.sync_sdk.clients import shared

router = APIRouter(prefix="/stream")


def begin(client: OpenAI, pieces: int, latency_ms: float) -> Stream[ChatCompletionChunk]:
    """The blocking client's stream; returns when the upstream's headers have come."""
    stream: Stream[ChatCompletionChunk] = client.chat.completions.create(
        stream=True, **question(latency_ms, pieces=pieces)
    )
    return stream


async def begin_async(
    client: AsyncOpenAI, pieces: int, latency_ms: float
) -> AsyncStream[ChatCompletionChunk]:
    """The same, awaited."""
    stream: AsyncStream[ChatCompletionChunk] = await client.chat.completions.create(
        stream=True, **question(latency_ms, pieces=pieces)
    )
    return stream


def text(chunk: ChatCompletionChunk) -> str:
    """The words in a piece."""
    return chunk.choices[0].delta.content or ""


@router.get("/blocking", response_model=None)
async def stream_blocking(
    request: Request, pieces: int = 10, latency_ms: float = 50
) -> StreamingResponse:
    """The blocking client's stream in an async generator: the loop waits for every piece."""

    async def passed_on() -> AsyncIterator[str]:
        with begin(shared(request).blocking, pieces, latency_ms) as stream:
            for chunk in stream:
                yield text(chunk)

    return StreamingResponse(passed_on(), media_type="text/plain")


@router.get("/threads", response_model=None)
def stream_threads(request: Request, pieces: int = 10, latency_ms: float = 50) -> StreamingResponse:
    """The same in a plain generator, which Starlette asks in a thread, once for each piece."""
    stream = begin(shared(request).blocking, pieces, latency_ms)

    def passed_on() -> Iterator[str]:
        with stream:
            for chunk in stream:
                yield text(chunk)

    return StreamingResponse(passed_on(), media_type="text/plain")


@router.get("/closing", response_model=None)
async def stream_closing(
    request: Request, pieces: int = 10, latency_ms: float = 50
) -> StreamingResponse:
    """The same by hand, so that the stream is closed when the client leaves."""
    stream = await run_in_threadpool(begin, shared(request).blocking, pieces, latency_ms)

    async def passed_on() -> AsyncIterator[str]:
        try:
            async for chunk in iterate_in_threadpool(stream):
                yield text(chunk)
        finally:
            stream.close()

    return StreamingResponse(passed_on(), media_type="text/plain")


@router.get("/async", response_model=None)
async def stream_async(
    request: Request, pieces: int = 10, latency_ms: float = 50
) -> StreamingResponse:
    """The async client's stream."""
    stream = await begin_async(shared(request).awaiting, pieces, latency_ms)

    async def passed_on() -> AsyncIterator[str]:
        try:
            async for chunk in stream:
                yield text(chunk)
        finally:
            await stream.close()

    return StreamingResponse(passed_on(), media_type="text/plain")
