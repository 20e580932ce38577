"""Practice 9: what it takes to save an upload, to refuse one, and to keep a hostile one harmless.

Runs alone: `uvicorn lab_apps.practices.uploads:app`, then
`curl -F file=@photo.jpg 127.0.0.1:8000/chunks-1-mib`. Files go to a temporary folder, or to the one
that the environment variable UPLOADS_FOLDER names.

`saving` has the ways to save an upload, which differ in what they hold in memory, `refusing` the
ways to say no, which differ in what is received first, and `safe` an upload as one would ship it.
"""

from __future__ import annotations

from lab_apps.practices.uploads.application import app as app
