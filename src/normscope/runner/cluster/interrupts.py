"""Ctrl-C, acted on where it does no harm."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupts_held() -> Iterator[threading.Event]:
    """Remember an interrupt instead of raising it wherever it lands, which may be inside a library that loses it.

    The second one is raised at once, so that nothing can hang for good. A handler of the program's own is left in
    place, and so is its wish to ignore interrupts.

    Yields:
        Set once an interrupt has come.
    """
    interrupted = threading.Event()
    usual = signal.default_int_handler
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is usual

    def remember(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, usual)

    if ours:
        signal.signal(signal.SIGINT, remember)
    try:
        yield interrupted
    finally:
        if ours:
            signal.signal(signal.SIGINT, usual)
