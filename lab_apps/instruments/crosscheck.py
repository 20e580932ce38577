"""The lab's own client beside others, on the same server: wrk as the reference, httpx as a warning.

`python -m lab_apps.instruments.crosscheck` runs the benchmark: five alternating rounds of wrk and
the lab on a 50 ms route and on one that does nothing, both with 64 users.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import httpx

from lab_apps.instruments.calibration import OK
from lab_apps.instruments.child import Child
from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import serve
from lab_apps.instruments.trial import percentile_ms
from lab_apps.instruments.wire import Stream

WAIT_PATH, NULL_PATH = "/wait/50", "/null"
USERS = 64


class Reading(NamedTuple):
    """What one client says of a closed loop; `cpu_ms` is its own CPU time per request or nan."""

    p50_ms: float
    rps: float
    cpu_ms: float
    requests: float

    def __str__(self) -> str:
        """One line for a table."""
        cpu = "" if self.cpu_ms != self.cpu_ms else f", {self.cpu_ms:.3f} ms of client CPU each"
        return f"p50 {self.p50_ms:6.1f} ms, {self.rps:6.0f}/s{cpu}"


Client = Callable[[str, str, int], Reading | None]


def lab(url: str, path: str, seconds: int) -> Reading:
    """The lab's load worker with 64 users. Raises ValueError where a request failed."""
    trial = send(url, Stream("crosscheck", path, closed(USERS, seconds=seconds), OK))
    if trial.errors:
        raise ValueError(f"{url}{path} did not answer as expected: {trial.errors}")
    cpu_ms = trial.client_cpu_s * 1e3 / len(trial.rows)
    return Reading(percentile_ms(trial.response_ms, 50), trial.rps, cpu_ms, len(trial.rows))


def wrk(url: str, path: str, seconds: int) -> Reading | None:
    """wrk with one thread and 64 connections; None where it isn't installed."""
    if shutil.which("wrk") is None:
        return None
    command = ["wrk", "-t1", f"-c{USERS}", f"-d{seconds}s", "--latency", url + path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
    rps = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if not p50 or not rps or "Non-2xx" in said:
        raise ValueError(f"wrk's answer makes no sense: {said!r}")
    to_ms = {"us": 1e-3, "ms": 1.0, "s": 1e3}[p50[2]]
    return Reading(float(p50[1]) * to_ms, float(rps[1]), float("nan"), float(rps[1]) * seconds)


def httpx_per_user(url: str, path: str, seconds: int) -> Reading:
    """httpx with a client of its own for each of 64 users, in a process of its own."""
    return _httpx("own", url, path, seconds)


def httpx_shared(url: str, path: str, seconds: int) -> Reading:
    """httpx with one client for 64 users and its default limits, in a process of its own."""
    return _httpx("shared", url, path, seconds)


def httpx_raised(url: str, path: str, seconds: int) -> Reading:
    """The same with the limits raised to the number of users, as its documentation suggests."""
    return _httpx("raised", url, path, seconds)


CLIENTS: dict[str, Client] = {
    "wrk": wrk,
    "the lab": lab,
    "httpx, one per user": httpx_per_user,
    "httpx, shared": httpx_shared,
    "httpx, limits raised": httpx_raised,
}


def alternate(url: str, path: str, *, rounds: int, seconds: int) -> tuple[Reading | None, Reading]:
    """Medians of wrk and the lab over `rounds` in which they take turns; None without wrk."""
    readings: dict[Client, list[Reading]] = {wrk: [], lab: []}
    for number in range(rounds):
        for client in (wrk, lab) if number % 2 == 0 else (lab, wrk):
            reading = client(url, path, seconds)
            if reading is not None:
                readings[client].append(reading)
    return _median(readings[wrk]) if readings[wrk] else None, _median(readings[lab])


def _median(readings: list[Reading]) -> Reading:
    return Reading(*(statistics.median(values) for values in zip(*readings, strict=True)))


def _httpx(limits: str, url: str, path: str, seconds: int) -> Reading:
    child = Child(f"{__name__}:_httpx_load")
    try:
        reading: Reading = child.call(limits, url + path, seconds)
        return reading
    finally:
        child.close()


def _httpx_load(limits: str, address: str, seconds: int) -> Reading:
    return asyncio.run(_httpx_users(limits, address, seconds))


async def _httpx_users(kind: str, address: str, seconds: int) -> Reading:
    raised = httpx.Limits(max_connections=USERS, max_keepalive_connections=USERS)
    defaults = httpx.Limits(max_connections=100, max_keepalive_connections=20)
    limits = raised if kind == "raised" else defaults
    count = USERS if kind == "own" else 1
    tls = ssl.create_default_context()  # takes long to make, and plain HTTP doesn't use it
    clients = [httpx.AsyncClient(limits=limits, verify=tls) for _ in range(count)]
    times_ms: list[float] = []

    async def user(client: httpx.AsyncClient, end: float) -> None:
        while (begun := time.perf_counter()) < end:
            response = await client.get(address, timeout=30)
            times_ms.append((time.perf_counter() - begun) * 1e3)
            if response.content != OK:
                raise ValueError(f"{address} answered {response.content!r}")

    for client in clients:
        await client.get(address)
    cpu_s, begun = time.process_time(), time.perf_counter()
    users = (user(clients[number % count], begun + seconds) for number in range(USERS))
    await asyncio.gather(*users)
    elapsed_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_s
    for client in clients:
        await client.aclose()
    requests = len(times_ms)
    return Reading(
        statistics.median(times_ms), requests / elapsed_s, cpu_s * 1e3 / requests, requests
    )


def _main() -> int:
    with serve("lab_apps.instruments.calibration:create_app", where="process") as server:
        print(f"{USERS} users, server in a process of its own on {server.loop}, medians of 5")
        for path in (WAIT_PATH, NULL_PATH):
            theirs, ours = alternate(server.url, path, rounds=5, seconds=2)
            for name, reading in (("wrk", theirs), ("lab", ours)):
                print(f"{path:9} {name}  {reading or 'not installed'}")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
