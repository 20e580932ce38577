"""What surprises in models, each trap with its routes: `uvicorn
lab_apps.practices.validation.traps:app`, no database.

`patterns`, `coercions`, `addresses`, `texts`, `defaults`, `failures` and `passwords` have the
models, the routes, what to send and what should come of it; `values` the routes of one value;
`pydantic1` asks Pydantic 1 the same.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from lab_apps.practices.validation.traps import (
    addresses,
    coercions,
    defaults,
    failures,
    passwords,
    patterns,
    texts,
)

router = APIRouter()
for part in (addresses, coercions, defaults, failures, passwords, patterns, texts):
    router.include_router(part.router)

app = FastAPI(title="Practice 2: traps")
app.include_router(router)
