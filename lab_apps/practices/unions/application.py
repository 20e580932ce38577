"""The app of practice 8."""

from __future__ import annotations

from fastapi import FastAPI

from lab_apps.practices.unions import batches, forms, members

app = FastAPI(title="Practice 8: unions")
# The timed ones first: what is asked of a router before is part of a request.
for part in (members, batches, forms):
    app.include_router(part.router)
app.mount("/cut", batches.cutting)
