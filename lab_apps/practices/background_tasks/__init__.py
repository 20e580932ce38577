"""Practice 7: work that goes on after the response, and what a stop, a failure or a crowd does.

Runs alone: `LEDGER=/tmp/ledger uvicorn lab_apps.practices.background_tasks:app`, then
`curl -X POST '127.0.0.1:8000/background/awaiting?seconds=3'`; each task notes its beginning and
its end in the file LEDGER.

`ways` starts `work` of four kinds in three ways, of which `groups` has the lifespan that owns a
task group; `starts` shows what comes first, the answer or the work, `failures` tasks and handlers
that fail, `crowd` more tasks than threads. Apps of their own: `heavy:app` has work that computes,
`sessions:app`, on a database, what a request's tasks hold, and `queued:app` puts the work into a
queue, for the workers of `jobs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab_apps.practices.background_tasks.application import app as app


def __getattr__(name: str) -> Any:
    """Import the app when it is asked for (PEP 562).

    A worker of `jobs` imports this package too; FastAPI would take it 0.3 s.
    """
    if name == "app":
        from lab_apps.practices.background_tasks.application import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
