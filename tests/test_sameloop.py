"""A client that shares the server's loop: its lag tells, its clock from the sending does not."""

from __future__ import annotations

import numpy as np
import pytest

from lab_apps.instruments import load, sameloop, selfcheck
from lab_apps.instruments.calibration import OK, create_app
from lab_apps.instruments.schedule import paced
from lab_apps.instruments.server import Process, serve
from lab_apps.instruments.wire import Stream

STREAMS = (
    Stream("victim", "/null", paced(100, 1), OK),
    Stream("blocker", "/sleep/100", paced(5, 1, start_s=0.055), OK),
)


def test_from_the_sending_it_sees_nothing() -> None:
    """Half the time the loop is held: the p80 is far up, or on the floor for this client."""
    with serve(create_app) as server:
        shared = sameloop.send(server, *STREAMS)
        apart = load.send(server.url, *STREAMS)
    assert shared.errors == apart.errors == {}
    told_ms, true_ms = (
        float(np.percentile(trial.stream("victim").service_ms, 80)) for trial in (shared, apart)
    )
    assert true_ms > 50
    assert told_ms < true_ms / 2
    # From the instant a request was due, both agree; and the client's own check tells them apart.
    response_ms = float(np.percentile(shared.stream("victim").response_ms, 80))
    assert response_ms == pytest.approx(true_ms, rel=0.5)
    assert "send lag" in " ".join(selfcheck.faults(shared))


def test_only_a_server_in_a_thread_can_be_shared() -> None:
    app = "lab_apps.instruments.calibration:create_app"
    with (
        Process() as home,
        serve(app, where=home) as server,
        pytest.raises(ValueError, match="not one in 'process'"),
    ):
        sameloop.send(server, *STREAMS)
