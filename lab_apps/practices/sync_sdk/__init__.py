"""Practice 10: an SDK that blocks goes to a thread pool, and what else its client does.

Runs alone, beside its upstream, which stands in for the service that the SDK calls:
`uvicorn lab_apps.practices.sync_sdk.upstream:app --port 8001`, in another terminal
`uvicorn lab_apps.practices.sync_sdk:app`, then `curl '127.0.0.1:8000/chat/def?latency_ms=200'` and
`curl 127.0.0.1:8001/counts`. Another address: the environment variable UPSTREAM_URL. The SDK is
`openai`; it needs no key, and sends nothing but to that address.

`clients` makes the SDK's clients, `chats` has the forms of calling them, `built` the same with a
client for each request, `streams` answers that come in pieces, `faults` what happens when the
upstream fails, is late or has no connection left, `leaving` what a client that leaves stops, and
`upstream` the other service, which counts what it is asked.
"""

from __future__ import annotations

from lab_apps.practices.sync_sdk.application import app as app
from lab_apps.practices.sync_sdk.application import create_app as create_app
