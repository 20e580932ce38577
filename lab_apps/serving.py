"""What `lab serve` does: one practice's app on this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from lab_apps.arguments import HOST
from lab_apps.report.files import CannotRun, Checkout, two_digits


def serve(checkout: Checkout, number: str, port: int) -> None:
    """Serve the practice's app and print its routes. Raises CannotRun where there is none."""
    import uvicorn

    served = _served(checkout)
    target = served.get(two_digits(number))
    if target is None:
        raise CannotRun(f"no practice {number!r} to serve: there is {', '.join(served)}")
    package, _, name = target.partition(":")
    module = importlib.import_module(package)
    made = getattr(module, name)
    app = made() if name == "create_app" else made
    with _bound(port) as sock, _database(getattr(module, "DATABASE_URL", "")):
        bound_port = sock.getsockname()[1]
        paths = app.openapi()["paths"]  # app.routes has included routers as one entry each
        for path, operations in paths.items():
            for method, operation in operations.items():
                said = operation.get("description", "").partition("\n")[0]
                print(f"{method.upper():<6} {path:<24} {said}".rstrip())
        to_get = (path for path in paths if "{" not in path and _open(paths[path].get("get")))
        first = next(to_get, "/openapi.json")
        print(f"\ncurl http://{HOST}:{bound_port}{first}\n\n{target}, until Ctrl-C", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[sock])


def _open(operation: Mapping[str, Any] | None) -> bool:
    """Whether there is such an operation, and it asks for no token."""
    return operation is not None and "security" not in operation


def _served(checkout: Checkout) -> dict[str, str]:
    """The apps by number, as module:name: a practice's module is named as its notebook."""
    served = {"00": "lab_apps.instruments.calibration:create_app"}
    for path in sorted(checkout.notebooks.glob("[0-9][0-9]_*.ipynb")):
        number, _, name = path.stem.partition("_")
        if importlib.util.find_spec(f"lab_apps.practices.{name}"):
            served[number] = f"lab_apps.practices.{name}:app"
    return served


@contextlib.contextmanager
def _database(variable: str) -> Iterator[None]:
    """A Postgres while the block runs, its url in the environment, if the app reads one there."""
    if not variable or os.environ.get(variable):
        yield
        return
    from lab_apps.instruments import postgres

    try:
        os.environ[variable] = postgres.database().url
        yield
    except postgres.PostgresError as error:
        raise CannotRun(str(error)) from None
    finally:
        os.environ.pop(variable, None)
        postgres.stop()


def _bound(port: int) -> socket.socket:
    """A listening socket on this port of 127.0.0.1."""
    from lab_apps.instruments.server import listener

    try:
        sock = listener(port)
        try:
            sock.listen()  # two may bind with SO_REUSEADDR, but only one may listen
        except OSError:
            sock.close()
            raise
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be had ({error.strerror})"
        raise CannotRun(f"port {port} {why}: choose another, --port 0 takes a free one") from None
    return sock
