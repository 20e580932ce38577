"""The app of practice 5."""

from __future__ import annotations

from fastapi import FastAPI

from lab_apps.practices.async_routes import bodies, cpu, hops, leaving, pings, pool, reads
from lab_apps.practices.async_routes.resources import lifespan

app = FastAPI(title="Practice 5: async routes", lifespan=lifespan)
for part in (pings, reads, hops, bodies, pool, cpu, leaving):
    app.include_router(part.router)
