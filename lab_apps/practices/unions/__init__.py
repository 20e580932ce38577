"""Practice 8: what comes out of a union, by its form.

Runs alone: `uvicorn lab_apps.practices.unions:app`, then `curl 127.0.0.1:8000/smart/2 -H
'content-type: application/json' -d '{"content":{"video_id":1,"text":"t"}}'`.

`content` has the article's models and what is proposed for them, `content_v1` the same in
Pydantic 1, `cases` what is sent and what is meant, `forms` the ways that it is taken. `members` has
unions of up to 128 members, `batches` bodies of many elements.
"""

from __future__ import annotations

from lab_apps.practices.unions.application import app as app
