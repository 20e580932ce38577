"""The app of practice 9."""

from __future__ import annotations

from fastapi import FastAPI

from lab_apps.practices.uploads import refusing, safe, saving
from lab_apps.practices.uploads.folder import lifespan

app = FastAPI(title="Practice 9: uploads", lifespan=lifespan)
for part in (saving, refusing, safe):
    app.include_router(part.router)
app.mount("/refusing/middleware", refusing.gated)
