"""A CPU hog that can be switched: what a busy machine does to a measurement, on purpose."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
from collections.abc import Callable, Iterator

from lab_apps.instruments import machine
from lab_apps.instruments.child import Child


@contextlib.contextmanager
def hog() -> Iterator[Callable[[bool], None]]:
    """A process that computes on every core while it is on; yield its switch, at first off.

    It ends with the block, or with this process, however that ends.
    """
    child = Child("lab_apps.instruments.hog:_switch")
    try:
        child.call(False)
        yield child.call
    finally:
        child.close()


def _switch(on: bool) -> None:
    """Run in the hog's process: compute from now on, or rest."""
    (_burning().set if on else _burning().clear)()


@functools.cache
def _burning() -> threading.Event:
    on = threading.Event()

    def burn() -> None:
        while on.wait():
            hashlib.sha256(bytes(65536))  # without the GIL, so all cores are burnt and calls heard

    for _ in range(machine.usable_cores()):
        threading.Thread(target=burn, daemon=True).start()
    return on
