"""Practice 5: what a blocking call in an `async` route costs everybody else, and what `def` costs.

Runs alone: `uvicorn lab_apps.practices.async_routes:app`, then `curl 127.0.0.1:8000/good-ping`.

`pings` has the article's three routes, `reads` blocking I/O of some microseconds, `hops` what goes
to the thread pool and how often, `bodies` large answers and requests, `pool` who shares the pool's
threads, `cpu` work that computes, `leaving` what happens when the client has gone. Most answers
say where their route ran, so that a check of the body is a check of the mechanism. What needs a
Postgres is an app of its own, `database:app`: queries, and in `deadlock` sessions that lock up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab_apps.practices.async_routes.application import app as app


def __getattr__(name: str) -> Any:
    """Import the app when it is asked for (PEP 562).

    A process of the pool imports this package too, for `in_pool`; FastAPI would take it 0.3 s.
    """
    if name == "app":
        from lab_apps.practices.async_routes.application import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
