"""Practice 2: what a model that validates every field lets through, and where it ends in a 500.

Runs alone, on a database of its own: `createdb lab02 && LAB_DATABASE_URL=postgresql:///lab02
uvicorn lab_apps.practices.validation:app`, then `curl -i 127.0.0.1:8000/plain/profiles -H
'content-type: application/json' -d '{"first_name":"Ada","username":"ada","email":"ada@example.org",
"age":NaN}'`. Its table is made where it isn't there.

`schemas` has the profile as one would write it and what is proposed against the 500s, `answers` the
error handlers, `profiles` the route that stores a profile, `application` each combination under a
path of its own. `by_hand` is the same route without Pydantic, `fields` a model that grows by one
field after the other, `quiz` sixteen bodies, `traps` what surprises in single fields.
"""

from __future__ import annotations

from lab_apps.practices.validation.application import app as app
from lab_apps.practices.validation.application import create_app as create_app

DATABASE_URL = "LAB_DATABASE_URL"  # the environment variable that the app reads
