"""A server in a thread of this process, with an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias, TypeVar

import uvicorn
from anyio.to_thread import current_default_thread_limiter

from lab_apps.instruments import machine
from lab_apps.instruments.app import App, load
from lab_apps.instruments.eventloop import Probe, Readings
from lab_apps.instruments.listener import listener
from lab_apps.instruments.stopping import PromptServer

Loop: TypeAlias = Literal["auto", "asyncio", "uvloop"]
T = TypeVar("T")

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
GRACE_S = 2  # for requests in flight when a server is stopped
KEEP_ALIVE_S = 3600  # uvicorn's 5 s would close a pooled connection in the middle of a trial


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

    def cpu_s(self) -> float | None:
        """CPU seconds used by all threads of the process the server lives in; None if not told.

        Of a server in a thread that is this process, with all that it does besides.
        """
        raise NotImplementedError

    def run_queue_wait_s(self) -> float | None:
        """Seconds the loop's thread was ready and had no core; None where not told."""
        raise NotImplementedError

    def inside(self, function: Callable[..., T], *args: Any) -> T:
        """Call `function(*args)` in the process the server lives in; return what it returns.

        Not on the loop's thread. In another process it must be a function that a module can be
        asked for by name, its arguments and its result such that they can be pickled. Raises what
        it raises, and ValueError for a function without such a name.
        """
        raise NotImplementedError


class ThreadServer(Server):
    """A server between `start()` and `stop()`, which raise what `serve` says."""

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
        self._app = load(app)
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
        self._server = PromptServer(config)
        self._thread = threading.Thread(target=self._run, name="lab server", daemon=True)
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self.loop = loop

    def start(self) -> None:
        """Return once the server listens."""
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.started and self._thread.is_alive():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the app's lifespan has not started after {START_TIMEOUT_S} s")
            time.sleep(0.001)
        if not self._server.started:
            raise self._error or RuntimeError("the app's lifespan has failed and not said why")

    def stop(self) -> None:
        """Return once the server's thread has ended."""
        self._server.stop()
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
        """See `Server`; also after the end. Raises ValueError for a server without a probe."""
        if self._probe is None:
            raise ValueError("this server has no event-loop probe: serve(app, probe=True)")
        return self._probe.readings()

    def loop_cpu_s(self) -> float | None:
        """See `Server`; None after the end."""
        return machine.thread_cpu_s(self._thread)

    def cpu_s(self) -> float:
        """See `Server`."""
        return time.process_time()

    def run_queue_wait_s(self) -> float | None:
        """See `Server`; None after the end."""
        return machine.run_queue_wait_s(os.getpid(), self._thread.native_id or 0)

    def inside(self, function: Callable[..., T], *args: Any) -> T:
        """See `Server`: here, on the caller's thread."""
        return function(*args)

    def on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns that runs on the server's own loop, beside the app."""
        assert self._loop is not None
        running = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return running.result()
        finally:
            running.cancel()  # of use after an interrupt only

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
