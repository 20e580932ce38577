"""The same call by a client that is built for the request, which is not free."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from lab_apps.practices.sync_sdk.chats import Answer, ask, ask_async
from lab_apps.practices.sync_sdk.clients import (
    new_async_client,
    new_client,
    shared,
    with_options,
)

router = APIRouter(prefix="/built")


@router.get("/async-def", response_model=None)
async def built_async_def(request: Request, latency_ms: float = 200) -> Answer:
    """Built on the event loop, used on a thread: the article's sample."""
    client = new_client(shared(request).url)
    try:
        return await run_in_threadpool(ask, client, latency_ms)
    finally:
        client.close()


@router.get("/def", response_model=None)
def built_def(request: Request, latency_ms: float = 200) -> Answer:
    """Built and used on a thread."""
    with new_client(shared(request).url) as client:
        return ask(client, latency_ms)


@router.get("/async-client", response_model=None)
async def built_async_client(request: Request, latency_ms: float = 200) -> Answer:
    """The async client, built on the event loop."""
    async with new_async_client(shared(request).url) as client:
        return await ask_async(client, latency_ms)


@router.get("/options", response_model=None)
async def built_options(request: Request, latency_ms: float = 200) -> Answer:
    """The shared client with another key for this request: it keeps its connections."""
    client = with_options(shared(request).blocking, api_key="another one")
    return await run_in_threadpool(ask, client, latency_ms)
