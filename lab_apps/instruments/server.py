"""A uvicorn server for one experiment: in this process's thread, or in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import uvicorn
from anyio.to_thread import current_default_thread_limiter

from lab_apps.instruments import machine
from lab_apps.instruments.child import Child
from lab_apps.instruments.eventloop import Probe, Readings

ASGIApp: TypeAlias = Callable[..., Any]
App: TypeAlias = ASGIApp | str
Loop: TypeAlias = Literal["auto", "asyncio", "uvloop"]

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
GRACE_S = 2  # for requests in flight when a server is stopped
KEEP_ALIVE_S = 3600  # uvicorn's 5 s would close a pooled connection in the middle of a trial


def listener(port: int = 0) -> socket.socket:
    """A TCP socket bound to `port` of 127.0.0.1, or to a free one. Raises OSError if it is taken.

    Made with IPPROTO_TCP: asyncio sets TCP_NODELAY on accepted connections only where
    `proto == IPPROTO_TCP`, and without it every answer of two writes waits about 40 ms for the
    peer's delayed acknowledgement (Kludex/uvicorn#3149). uvloop sets it in any case.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    return bind(sock, port)


def bind(sock: socket.socket, port: int = 0) -> socket.socket:
    """Bind `sock` to `port` of 127.0.0.1, or to a free one, and return it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


class Server:
    """A running server. `url` is http://127.0.0.1:port, `loop` the name of its event loop."""

    url: str
    loop: str
    where: str

    def readings(self) -> Readings:
        """Event-loop delay and pool threads in use since the start; needs `probe=True`."""
        raise NotImplementedError

    def loop_cpu_s(self) -> float | None:
        """CPU seconds used by the loop's thread; None where the platform can't tell."""
        raise NotImplementedError

    def run_queue_wait_s(self) -> float | None:
        """Seconds the loop's thread was ready and had no core; None where not told."""
        raise NotImplementedError


@contextlib.contextmanager
def serve(
    app: App,
    *,
    where: Literal["thread", "process"] = "thread",
    loop: Loop = "auto",
    tokens: int | None = None,
    probe: bool = False,
    sock: socket.socket | None = None,
) -> Iterator[Server]:
    """Serve `app` on a free port of 127.0.0.1 while the block runs; yield the `Server`.

    `app` is an ASGI app, a function that makes one, or "module:name" of either; a server in a
    process needs the latter. `tokens` sets the size of AnyIO's thread pool (40 by default),
    `probe` starts the event-loop probe, `sock` replaces `listener()`. The loop is uvicorn's choice
    ("auto": uvloop where installed).

    Raises ValueError for what is no app; what the app's lifespan raised, at the start or at the
    end; TimeoutError when it has not started after 30 s or not ended 30 s after the block.
    """
    if where == "process":
        if not isinstance(app, str):
            raise ValueError(f'a server in a process needs "module:name", not {app!r}')
        if sock is not None:
            raise ValueError("a server in a process makes its own socket: leave sock out")
        remote = _ProcessServer(app, loop, tokens, probe)
        try:
            yield remote
        finally:
            remote.stop()
        return
    local = _ThreadServer(app, loop, tokens, probe, sock)
    try:
        local.start()
        yield local
    finally:
        local.stop()


class _ThreadServer(Server):
    where = "thread"

    def __init__(
        self,
        app: App,
        loop: Loop,
        tokens: int | None,
        probe: bool,
        sock: socket.socket | None = None,
    ) -> None:
        machine.allow_descriptors()
        self._app = _load(app)
        self._tokens = tokens
        self._wants_probe = probe
        self._probe: Probe | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._sock = sock or listener()
        config = uvicorn.Config(
            self._call,
            loop=loop,
            http="httptools",
            interface="asgi3",
            lifespan="on",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="lab server", daemon=True)
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self.loop = loop

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.started and self._thread.is_alive():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the app's lifespan has not started after {START_TIMEOUT_S} s")
            time.sleep(0.001)
        if not self._server.started:
            raise self._error or RuntimeError("the app's lifespan has failed and not said why")

    def stop(self) -> None:
        self._server.should_exit = True
        if not self._server.started:
            self._cancel_all()
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT_S)
        self._sock.close()
        if self._thread.is_alive():
            self._cancel_all()
            self._thread.join(1)
            raise TimeoutError(
                f"the app has not ended {STOP_TIMEOUT_S} s after the experiment: its lifespan hangs"
                " or a handler blocks"
                + ("; restart the kernel to be rid of it" if self._thread.is_alive() else "")
            )
        if self._server.started and self._error is not None:
            raise self._error

    def readings(self) -> Readings:
        if self._probe is None:
            raise ValueError("this server has no event-loop probe: serve(app, probe=True)")
        return self._probe.readings()

    def loop_cpu_s(self) -> float | None:
        return machine.thread_cpu_s(self._thread)

    def run_queue_wait_s(self) -> float | None:
        return machine.run_queue_wait_s(os.getpid(), self._thread.native_id or 0)

    def _run(self) -> None:
        # uvicorn ends a failed start with sys.exit(); the reason is in self._error.
        try:
            self._server.run(sockets=[self._sock])
        except (SystemExit, asyncio.CancelledError):
            pass
        except BaseException as error:
            self._error = error

    def _cancel_all(self) -> None:
        """Cancel every task of the loop, from another thread.

        Not where the loop is blocked: it ends in good order once it is free.
        """
        loop, latest = self._loop, time.monotonic() + 0.5
        if loop is None:
            return

        def cancel() -> None:
            if time.monotonic() < latest:
                for task in asyncio.all_tasks(loop):
                    task.cancel()

        with contextlib.suppress(RuntimeError):  # the loop is closed by now
            loop.call_soon_threadsafe(cancel)

    def _call(self, scope: Any, receive: Any, send: Any) -> Any:
        # Not a coroutine function: requests pass on without a frame of ours around them.
        return (
            self._lifespan(scope, receive, send)
            if scope["type"] == "lifespan"
            else self._app(scope, receive, send)
        )

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self.loop = type(self._loop).__module__.split(".")[0]
        limiter = current_default_thread_limiter()
        if self._tokens is not None:
            limiter.total_tokens = self._tokens
        if self._wants_probe:
            self._probe = Probe(limiter)
            self._probe.start()
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._error = error
            raise
        finally:
            if self._probe is not None:
                self._probe.stop()


class _ProcessServer(Server):
    where = "process"

    def __init__(self, app: str, loop: Loop, tokens: int | None, probe: bool) -> None:
        self._child = Child(f"{__name__}:_host")
        try:
            self.url, self.loop = self._child.call("start", app, loop, tokens, probe)
        except BaseException:
            self._child.close()
            raise

    def stop(self) -> None:
        try:
            if self._child.pid is not None:  # it is None after an interrupt of a call
                self._child.call("stop", timeout_s=STOP_TIMEOUT_S + 5)
        finally:
            self._child.close()

    def readings(self) -> Readings:
        readings: Readings = self._child.call("readings")
        return readings

    def loop_cpu_s(self) -> float | None:
        cpu_s: float | None = self._child.call("loop_cpu_s")
        return cpu_s

    def run_queue_wait_s(self) -> float | None:
        wait_s: float | None = self._child.call("run_queue_wait_s")
        return wait_s


_hosted: _ThreadServer | None = None


def _host(what: str, *args: Any) -> Any:
    """Run in the child process: the same server in a thread, and answers to questions about it."""
    global _hosted
    if what == "start":
        _hosted = _ThreadServer(*args)
        _hosted.start()
        return _hosted.url, _hosted.loop
    assert _hosted is not None
    return getattr(_hosted, what)()


def _load(app: App) -> ASGIApp:
    """The ASGI app meant by an app, a function that makes one, or "module:name" of either."""
    found: Any = app
    if isinstance(app, str):
        module, _, name = app.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(f'can\'t import the app {app!r} ("module:name"): {error}') from error
    makes = inspect.isfunction(found) and not inspect.iscoroutinefunction(found)
    made: ASGIApp = found() if makes else found
    if not callable(made):
        raise ValueError(f"{app!r} is no ASGI app, nor a function that makes one")
    return made
