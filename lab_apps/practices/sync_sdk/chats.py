"""One call of the SDK in each form. Every answer says where the call was made."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from openai import AsyncOpenAI, OpenAI

from lab_apps.practices.sync_sdk.clients import shared

router = APIRouter()

Answer = dict[str, str | None]


@router.get("/chat/blocking", response_model=None)
async def chat_blocking(request: Request, latency_ms: float = 200) -> Answer:
    """The blocking client in `async def`: stops the event loop until the upstream answers."""
    return ask(shared(request).blocking, latency_ms)


@router.get("/chat/threadpool", response_model=None)
async def chat_threadpool(request: Request, latency_ms: float = 200) -> Answer:
    """The blocking client through `run_in_threadpool`, which has 40 threads for the whole app."""
    return await run_in_threadpool(ask, shared(request).blocking, latency_ms)


@router.get("/chat/def", response_model=None)
def chat_def(request: Request, latency_ms: float = 200) -> Answer:
    """The blocking client in `def`: FastAPI makes the same trip to the same threads."""
    return ask(shared(request).blocking, latency_ms)


@router.get("/chat/own-limiter", response_model=None)
async def chat_own_limiter(request: Request, latency_ms: float = 200) -> Answer:
    """The blocking client on threads that a limiter of the SDK's own counts."""
    clients = shared(request)
    return await anyio.to_thread.run_sync(
        ask, clients.blocking, latency_ms, limiter=clients.limiter
    )


@router.get("/chat/async", response_model=None)
async def chat_async(request: Request, latency_ms: float = 200) -> Answer:
    """The SDK's async client."""
    return await ask_async(shared(request).awaiting, latency_ms)


def ask(client: OpenAI, latency_ms: float, **query: Any) -> Answer:
    """The blocking call. The upstream waits `latency_ms` before it answers."""
    completion = client.chat.completions.create(**question(latency_ms, **query))
    return {"answer": completion.choices[0].message.content, "called_on": called_on()}


async def ask_async(client: AsyncOpenAI, latency_ms: float, **query: Any) -> Answer:
    """The same call, awaited."""
    completion = await client.chat.completions.create(**question(latency_ms, **query))
    return {"answer": completion.choices[0].message.content, "called_on": called_on()}


def question(latency_ms: float, **query: Any) -> dict[str, Any]:
    """What the upstream is asked, and how it is to behave."""
    return {
        "model": "lab",
        "messages": [{"role": "user", "content": "ping"}],
        "extra_query": {"latency_ms": latency_ms, **query},
    }


def called_on() -> str:
    """Whether this is the event loop's thread or a worker's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "worker thread"
    return "event loop"


@router.get("/victim", response_model=None)
async def victim() -> dict[str, str]:
    """Another route of the same app, with no work to speak of."""
    return {"victim": called_on()}


@router.get("/victim-def", response_model=None)
def victim_def() -> dict[str, str]:
    """The same in `def`."""
    return {"victim": called_on()}


user = contextvars.ContextVar("user", default="nobody")


def see_and_set() -> str:
    """What a thread sees of the route's context; and it leaves something there."""
    seen = user.get()
    user.set("the thread's")
    return seen


@router.get("/context", response_model=None)
async def context() -> dict[str, str]:
    """A context variable goes into the thread; what the thread sets does not come out."""
    user.set("the route's")
    return {"thread saw": await run_in_threadpool(see_and_set), "route saw after": user.get()}
