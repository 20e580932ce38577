"""Practice 4: a dependency's result is kept for the request, and what splitting costs all the same.

Runs alone, with a Postgres and a database of its own, in which it makes three tables:
`createdb lab04 && LAB_DATABASE_URL=postgresql:///lab04 uvicorn
lab_apps.practices.dependency_cache:app`. A token comes from
`python -c "from lab_apps.practices.dependency_cache import tokens; print(tokens.signed(1))"`, then
`curl -H "Authorization: Bearer $TOKEN" 127.0.0.1:8000/split/autocommit/users/1/posts/1`.

`split` has the article's graph of dependencies, `joined` the same in one query, `database` the
ways to take a connection for either. `cache` has what is called once in a request and what isn't,
`independent` two queries that need not wait for each other, `commits` when a transaction ends, and
`pooled` what `def` dependencies send to the thread pool.
"""

from __future__ import annotations

from lab_apps.practices.dependency_cache.application import app as app
from lab_apps.practices.dependency_cache.application import create_app as create_app

DATABASE_URL = "LAB_DATABASE_URL"  # the environment variable that the app reads
