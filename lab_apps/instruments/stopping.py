"""A uvicorn server that stops at once where nothing holds it up."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvicorn

TICK_S = 1.0  # the Date header has whole seconds; to wake an idle loop costs 0.1 ms of CPU
SETTLE_S = 0.02  # for tasks whose response has been sent, and for connections that are closing


class PromptServer(uvicorn.Server):
    """uvicorn without its polling: an idle server takes a few milliseconds to stop, not 200.

    uvicorn looks ten times a second whether it should exit, and sleeps 0.1 s after it has told
    connections to close. This one is woken by `stop()`. Where a task or a connection is left when
    `SETTLE_S` is over, uvicorn's own shutdown takes over, with its time of grace.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Make the server stop; from any thread, also before it has started or after its end."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed by now
                self._loop.call_soon_threadsafe(self._wake.set)

    async def main_loop(self) -> None:
        """Tick once a second until woken."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):  # sets the Date header, and says whether to exit
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close listeners and connections, then end the lifespan; uvicorn's way if that lasts."""
        loop = asyncio.get_running_loop()
        for sock in sockets or []:
            loop.remove_reader(sock)  # asyncio drops a connection accepted just before the close
        await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        state = self.server_state
        deadline_s = loop.time() + SETTLE_S
        while True:
            # Also once before the first look: an accepted connection shows up a few steps later.
            await asyncio.sleep(0.001)
            if not state.tasks:
                for connection in list(state.connections):
                    connection.shutdown()  # idle, so it closes
            if not (state.tasks or state.connections):
                break
            if loop.time() > deadline_s:
                return await super().shutdown(sockets)
        if not self.force_exit:
            await self.lifespan.shutdown()
        return None
