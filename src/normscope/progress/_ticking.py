"""Calls a function from time to time while other work is done."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def ticking(tick: Callable[[], float]) -> Iterator[None]:
    """Call ``tick`` from a thread of its own while the context lasts; it returns the seconds until the next call."""
    ended = threading.Event()

    def run() -> None:
        seconds = tick()
        while not ended.wait(seconds):
            seconds = tick()

    # A notebook finds in the context which of its cells the output belongs to.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
