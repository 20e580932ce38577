"""What `lab load` does: load on a server of this machine, and one summary of how it answered."""

from __future__ import annotations

import ipaddress
import math
import socket
from typing import Any
from urllib.parse import urlsplit

from lab_apps.instruments import load, schedule, selfcheck
from lab_apps.instruments.schedule import Schedule
from lab_apps.instruments.trial import Milliseconds, percentile_ms, shown_ms
from lab_apps.instruments.wire import Stream
from lab_apps.report.files import CannotRun

MAX_REQUESTS = 1_000_000  # each is kept as a row until the end
SEED = 1  # two calls with the same rate send at the same instants
CONNECT_TIMEOUT_S = 2.0
EXAMPLE = "http://127.0.0.1:8000/good-ping"


def measure(url: str, users: int | None, rate: float | None, seconds: float) -> dict[str, Any]:
    """Send GET requests at `url` from `users` in a closed loop, or at `rate` per second (Poisson).

    Returns what `lab load --json` prints: requests, errors (an answer other than 200 is one),
    errors_by_kind, achieved_rps (without errors), client_cpu_share of a core, percentiles in ms of
    response (from the intended instant), service (from the sending) and send lag, over all
    requests, failed ones too; None where fewer than ten values lie beyond one. client_faults is
    what the client's check of itself found, [] for nothing. A closed loop ends at `MAX_REQUESTS`.
    Raises CannotRun for a URL that isn't one of this machine, when nothing answers there, and for
    too many requests or none.
    """
    base, path = target(url)
    plan: Schedule
    if rate is None:
        plan = schedule.closed(users or 1, requests=MAX_REQUESTS, seconds=seconds)
    elif rate * seconds <= MAX_REQUESTS:
        plan = schedule.poisson(rate, seconds, seed=SEED)
    else:
        raise CannotRun(
            f"--rate {rate:g} for --seconds {seconds:g} is {rate * seconds:,.0f} requests, over"
            f" {MAX_REQUESTS:,}: lower one of them"
        )
    trial = load.send(base, Stream("load", path, plan))
    if not len(trial.rows):
        raise CannotRun(f"no request was due within --seconds {seconds:g}: raise it")
    return {
        "requests": len(trial.rows),
        "errors": sum(trial.errors.values()),
        "errors_by_kind": trial.errors,
        "achieved_rps": round(trial.rps, 2),
        "response_ms": _percentiles(trial.response_ms, 50, 90, 95, 99, 100),
        "service_ms": _percentiles(trial.service_ms, 50, 90, 95, 99, 100),
        "send_lag_ms": _percentiles(trial.send_lag_ms, 50, 99),
        "client_cpu_share": round(trial.client_cpu_s / trial.seconds, 4),
        "client_faults": selfcheck.faults(trial),
    }


def target(url: str) -> tuple[str, str]:
    """`http://host:port` and the path, of a server on this machine that accepts connections.

    Raises CannotRun for anything else.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", 80 if parts.port is None else parts.port
    except ValueError as error:
        raise CannotRun(f"{url!r} is not a URL ({error}): write {EXAMPLE}") from None
    if parts.scheme != "http":
        raise CannotRun(f"{url!r} does not begin with http:// (no TLS here): write {EXAMPLE}")
    if not (url.isascii() and url.isprintable()) or " " in url or "@" in parts.netloc:
        raise CannotRun(f"{url!r} has a user, a blank or a letter no URL has: write {EXAMPLE}")
    if not _is_loopback(host):
        raise CannotRun(f"{host!r} is not this machine: load goes to 127.0.0.1, localhost or [::1]")
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except OSError:
        where = f"http://{parts.netloc}"
        raise CannotRun(
            f"nothing answers at {where}: start it, for example with lab serve 05"
        ) from None
    query = f"?{parts.query}" if parts.query else ""
    return f"http://{parts.netloc}", f"{parts.path or '/'}{query}"


def readable(summary: dict[str, Any]) -> str:
    """The summary as a few lines of text."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary["errors_by_kind"].items())
    lines = [
        f"requests     {summary['requests']:,}, {summary['errors']:,} errors"
        + (f" ({kinds})" if kinds else ""),
        f"achieved     {summary['achieved_rps']:,} per second without error",
    ]
    for name in ("response_ms", "service_ms", "send_lag_ms"):
        values = (
            f"{key} {'-' if value is None else format(value, '.2f')}"
            for key, value in summary[name].items()
        )
        lines.append(f"{name:<12} {'   '.join(values)}")
    lines.append(f"client       {summary['client_cpu_share']:.0%} of a core")
    lines += [f"caution      {fault}" for fault in summary["client_faults"]]
    return "\n".join(lines)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _percentiles(times_ms: Milliseconds, *which: int) -> dict[str, float | None]:
    values = {f"p{q}": shown_ms(times_ms, q) for q in which if q < 100}
    if 100 in which:
        values["max"] = percentile_ms(times_ms, 100)
    return {name: round(ms, 3) if math.isfinite(ms) else None for name, ms in values.items()}
