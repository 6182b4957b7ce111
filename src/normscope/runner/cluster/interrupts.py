"""Ctrl-C, acted on where it does no harm."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupts_held() -> Iterator[threading.Event]:
    """Remember an interrupt instead of raising it wherever it arrives, which may be inside a library that loses it.

    A second interrupt is raised at once, so that nothing can hang for good. If the program has a handler of its own,
    or ignores interrupts, that stays so.

    Yields:
        An event that is set once an interrupt has arrived.
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
