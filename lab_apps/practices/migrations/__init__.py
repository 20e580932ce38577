"""Practice 6: migrations that are static, can be undone, and don't stop the service meanwhile.

Runs alone: `LAB_DATABASE_URL=postgresql://... uvicorn lab_apps.practices.migrations:app`, then
`curl 127.0.0.1:8000/posts/1`. Where there is no table `posts` it migrates to the newest revision
and adds 1,000 posts.

`environment` is an ordinary Alembic environment: `alembic -c
lab_apps/practices/migrations/environment/alembic.ini history`. Its `versions` are the app's; each
folder of `trials` goes on from there, with what should be done or with what should not.
"""

from __future__ import annotations

from lab_apps.practices.migrations.application import app as app
from lab_apps.practices.migrations.application import create_app as create_app

DATABASE_URL = "LAB_DATABASE_URL"  # the environment variable that the app reads
