"""Settings for all tests."""

from __future__ import annotations

import signal

import pytest

pytest.register_assert_rewrite(
    "helpers", "postgres_targets", "proxied", "queries_app", "sender_faults"
)

# A shell starts a job in the background with Ctrl-C ignored, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
