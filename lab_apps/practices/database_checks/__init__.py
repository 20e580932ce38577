"""Practice 3: what a dependency can check against the database, and what only a constraint can.

Runs alone, on a database of its own: `createdb lab03 && LAB_DATABASE_URL=postgresql:///lab03
uvicorn lab_apps.practices.database_checks:app`, then `curl -X POST 127.0.0.1:8000/users -H
'content-type: application/json' -d '{"email": "ada@example.org"}'`. Its tables are made where they
are not there.

`posts` has the article's dependency and the routes that share it, `mutants` and `suites` what
becomes of the tests when a route loses it; `signup` has the check as a dependency and the remedy,
`transactions` and `locks` what else is proposed, and `unit_of_work` a commit that comes late.
"""

from __future__ import annotations

from lab_apps.practices.database_checks.application import app as app
from lab_apps.practices.database_checks.application import create_app as create_app

DATABASE_URL = "LAB_DATABASE_URL"  # the environment variable that the app reads
