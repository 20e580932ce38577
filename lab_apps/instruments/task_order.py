"""One request that starts a task, and what is answered before the task has ended: an order."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlsplit

from matplotlib.figure import Figure

from lab_apps.instruments.ledger import Event, Ledger
from lab_apps.instruments.plots import COLOURS, GREY, MARKERS, figure

TIMEOUT_S = 10.0
ANSWER, NEXT = "its answer", "next on the connection"


@dataclass(frozen=True)
class Order:
    """A request, others beside it, and its task. Instants in ns of `perf_counter_ns`.

    `answered_ns` says when the last byte of each answer was there: of the request itself (ANSWER),
    of the next one on the same connection (NEXT), and of each bystander. `events` are what the task
    has noted, from "accepted" to "done".
    """

    sent_ns: int
    answered_ns: Mapping[str, int]
    events: Mapping[str, Event]

    def before_end(self, name: str) -> bool:
        """Whether that answer was there before the task's work had ended."""
        return self.answered_ns[name] < self.events["done"].at_ns

    def ms(self, at_ns: int) -> float:
        """That instant in ms from the sending of the request."""
        return (at_ns - self.sent_ns) / 1e6

    @property
    def ran_on(self) -> str:
        """Where the work ran: "event loop" where the request was accepted, else "pool thread"."""
        same = self.events["begun"].thread == self.events["accepted"].thread
        return "event loop" if same else "pool thread"

    @property
    def said(self) -> str:
        """The order in words: "4 of 4 answered before the end; event loop"."""
        before = sum(map(self.before_end, self.answered_ns))
        return f"{before} of {len(self.answered_ns)} answered before the end; {self.ran_on}"


def observe(
    url: str, path: str, ledger: Ledger, bystanders: Mapping[str, str], *, following: str = ""
) -> Order:
    """POST to `path`, and once its work has begun GET each of `bystanders` on another connection.

    As soon as the POST is answered, `following` is asked on its connection, if it is given. The
    server must note its tasks in the ledger, and live in another process: here are threads that
    wait. Raises TimeoutError where the work has not begun, or not ended, after 10 s, and
    RuntimeError for an answer that is no success.
    """
    parts = urlsplit(url)
    begun, done = (len(ledger.times(what)) for what in ("begun", "done"))
    known = len(ledger.events)
    with ThreadPoolExecutor(1 + len(bystanders)) as pool:
        connections = [_connected(parts.netloc) for _ in range(1 + len(bystanders))]
        try:
            sent_ns = time.perf_counter_ns()
            first = pool.submit(_asked, connections[0], "POST", path, following)
            ledger.wait_for("begun", begun + 1, TIMEOUT_S)
            others = {
                name: pool.submit(_asked, connection, "GET", other)
                for (name, other), connection in zip(
                    bystanders.items(), connections[1:], strict=True
                )
            }
            answered_ns = dict(zip((ANSWER, NEXT), first.result(), strict=False))
            answered_ns |= {name: future.result()[0] for name, future in others.items()}
            ledger.wait_for("done", done + 1, TIMEOUT_S)
        finally:
            for connection in connections:
                connection.close()
    return Order(sent_ns, answered_ns, {event.what: event for event in ledger.events[known:]})


def _connected(address: str) -> HTTPConnection:
    connection = HTTPConnection(address, timeout=TIMEOUT_S)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _asked(connection: HTTPConnection, method: str, path: str, following: str = "") -> list[int]:
    """Send it, and what follows on the same connection; when the answer to each was whole."""
    answered_ns = []
    for each, to in ((method, path), ("GET", following)):
        if to:
            connection.request(each, to)
            response = connection.getresponse()
            response.read()
            answered_ns.append(time.perf_counter_ns())
            if response.status != 200:
                raise RuntimeError(f"{each} {to} was answered {response.status}")
    return answered_ns


def picture(orders: Mapping[str, Sequence[Order]]) -> Figure:
    """A line for each name: the work as a bar, each answer as a mark, in ms from the request."""
    names = list(next(iter(orders.values()))[0].answered_ns)
    fig = figure(9, 1.2 + 0.33 * len(orders))
    axes = fig.subplots()
    for rank, group in enumerate(orders.values()):
        for number, order in enumerate(group):
            height = rank + 0.5 * ((number + 0.5) / len(group) - 0.5)
            begun_ms, done_ms = (order.ms(order.events[what].at_ns) for what in ("begun", "done"))
            on_loop = order.ran_on == "event loop"
            colour = "#888888" if on_loop else "#D0D0D0"
            axes.plot([begun_ms, done_ms], [height] * 2, color=colour, lw=5, solid_capstyle="butt")
            for index, name in enumerate(names):
                at_ms = order.ms(order.answered_ns[name])
                style = {"color": COLOURS[index], "ms": 5, "mfc": "none"}
                axes.plot(at_ms, height, MARKERS[index], **style)  # type: ignore[arg-type]
    for index, name in enumerate(names):
        axes.plot([], [], MARKERS[index], color=COLOURS[index], mfc="none", label=name)
    axes.plot([], [], color="#D0D0D0", lw=5, label="work, pool thread")
    axes.plot([], [], color="#888888", lw=5, label="work, event loop")
    axes.set_yticks(range(len(orders)), list(orders), fontsize=9)
    axes.set_ylim(len(orders) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("ms from the sending of the request", fontsize=9)
    axes.grid(True, axis="x", lw=0.3, color=GREY)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig
