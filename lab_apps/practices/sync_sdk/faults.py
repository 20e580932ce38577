"""An upstream that fails, is late, or has no connection left: what the SDK does by itself."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from openai import APITimeoutError, Timeout

from lab_apps.practices.sync_sdk.chats import Answer, ask, ask_async
from lab_apps.practices.sync_sdk.clients import shared, with_options

router = APIRouter(prefix="/faults")


@router.get("/def", response_model=None)
def faults_def(
    request: Request,
    latency_ms: float = 0,
    status: int = 200,
    retries: int = 2,
    timeout_ms: float = 600_000,
) -> Answer:
    """A blocking call. The defaults of retries and timeout are the SDK's."""
    blocking = shared(request).blocking
    client = with_options(blocking, max_retries=retries, timeout=timeout_ms / 1e3)
    return ask(client, latency_ms, status=status)


@router.get("/narrow", response_model=None)
async def faults_narrow(
    request: Request, latency_ms: float = 0, retries: int = 2, patience_ms: float = 600_000
) -> Answer:
    """An awaited call by a client of two connections; it waits `patience_ms` for one of them."""
    timeout = Timeout(600, pool=patience_ms / 1e3)
    client = with_options(shared(request).narrow, max_retries=retries, timeout=timeout)
    return await ask_async(client, latency_ms)


async def upstream_failed(_: Request, error: Exception) -> JSONResponse:
    """502, or 504 for a timeout; the body names the SDK's error."""
    status = 504 if isinstance(error, APITimeoutError) else 502
    return JSONResponse({"error": type(error).__name__}, status)
