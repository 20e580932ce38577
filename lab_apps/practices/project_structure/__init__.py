"""Practice 1: one application in two layouts, by domain and by file type, and the imports it takes.

Runs alone, on a database of its own: `createdb lab01 && LAB_DATABASE_URL=postgresql:///lab01
uvicorn lab_apps.practices.project_structure.by_domain.main:app`, or `…by_type.main:app`, then
`curl -X POST 127.0.0.1:8000/auth/users -H 'content-type: application/json' -d '{"email":
"ada@example.org", "password": "correct horse"}'`. Its tables are made where they are not there.
Attached files go into LAB_BUCKET_FOLDER, or a temporary folder that goes when the app does.

`by_domain` has a folder for each domain, `by_type` one for each kind of file; the code is the same.
`explicit_imports` shows what a name imported from another domain takes away, `circular` the
import that runs in a circle, and ways out. The app of this package is that of `by_domain`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab_apps.practices.project_structure.by_domain.main import app as app

DATABASE_URL = "LAB_DATABASE_URL"  # the environment variable that the app reads


def __getattr__(name: str) -> Any:
    """Import the app when it is asked for (PEP 562): `by_type` has no use for it."""
    if name == "app":
        from lab_apps.practices.project_structure.by_domain.main import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
