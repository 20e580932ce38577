"""A client that leaves: which calls to the upstream it stops."""

from __future__ import annotations

import anyio
from fastapi import APIRouter, Request
from openai import APIError

from lab_apps.practices.sync_sdk.chats import Answer, ask_async
from lab_apps.practices.sync_sdk.clients import shared

router = APIRouter(prefix="/leave")


@router.get("/watched", response_model=None)
async def leave_watched(request: Request, latency_ms: float = 200) -> Answer | None:
    """The async client, and a task beside it that ends the call when the client has gone.

    An error is raised when the group is over: out of it, it would be an ExceptionGroup.
    """
    answer: Answer | None = None
    failure: APIError | None = None
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            answer = await ask_async(shared(request).awaiting, latency_ms)
        except APIError as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return answer
