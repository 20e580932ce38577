"""The same work as jobs in Postgres, for workers in processes and on machines of their own.

A worker, as many as one likes, wherever the database can be reached:
`LAB_DATABASE_URL=postgresql://… procrastinate --app=lab_apps.practices.background_tasks.jobs.queue
worker --concurrency=10`; its tables, once: the same with `schema --apply` instead of `worker`.
"""

from __future__ import annotations

import asyncio
import os

from procrastinate import App, JobContext, PsycopgConnector

from lab_apps.practices.background_tasks.ledger import note
from lab_apps.practices.background_tasks.work import awaiting

# How soon it is noticed that a worker is dead: procrastinate's own numbers unless told otherwise;
# and how often the jobs of dead ones are retried, which it leaves to us.
HEARTBEAT_S = float(os.environ.get("QUEUE_HEARTBEAT_S", "10"))
STALLED_S = float(os.environ.get("QUEUE_STALLED_S", "30"))
RETRY_CRON = os.environ.get("QUEUE_RETRY_CRON", "* * * * *")  # six fields: the last one is seconds

queue = App(
    connector=PsycopgConnector(conninfo=os.environ.get("LAB_DATABASE_URL", "")),
    worker_defaults={"update_heartbeat_interval": HEARTBEAT_S, "stalled_worker_timeout": STALLED_S},
)


@queue.task
async def deliver(task: str, seconds: float, then_s: float) -> None:
    """The work; then whatever else the job does before it is acknowledged as succeeded."""
    await awaiting(task, seconds)
    await asyncio.sleep(then_s)
    note(task, "returned")


@queue.task(retry=1)
async def deliver_again(task: str, seconds: float, then_s: float) -> None:
    """The same, tried once more when it fails or when its worker stops before its end."""
    await deliver(task, seconds, then_s)


@queue.task(queueing_lock="retry_stalled", pass_context=True)
async def retry_stalled(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Give the jobs of workers that have died to those that live: nothing else does it."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S):
        await manager.retry_job(job)


if RETRY_CRON != "never":
    queue.periodic(cron=RETRY_CRON)(retry_stalled)
