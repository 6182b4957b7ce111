"""Doing something now and again while other work goes on."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def ticking(tick: Callable[[], float]) -> Iterator[None]:
    """Call ``tick`` from a thread of its own while the context lasts, each time as many seconds later as it says."""
    ended = threading.Event()

    def run() -> None:
        seconds = tick()
        while not ended.wait(seconds):
            seconds = tick()

    # A notebook tells from the context which of its cells the words belong to.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
