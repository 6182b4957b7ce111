"""Signals that end a program, acted on where that does no harm."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

_PATIENCE_SECONDS = 1.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class HeldSignals:
    """The signals that have arrived, and what the program wants to be called for each.

    Args:
        handlers: the program's own handlers.
    """

    def __init__(self, handlers: dict[int, Callable[[int, FrameType | None], object]]) -> None:
        self._handlers = handlers
        self._arrived: list[int] = []
        self._since = 0.0

    def remember(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal; deliver all at once if the first has waited for a second, so that nothing can hang."""
        if not self._arrived:
            self._since = time.monotonic()
        self._arrived.append(number)
        if time.monotonic() - self._since > _PATIENCE_SECONDS:
            self.deliver()

    def deliver(self) -> None:
        """Call the program's handlers for the signals that have arrived, until one raises an exception."""
        arrived, self._arrived = self._arrived, []
        for number in arrived:
            self._handlers[number](number, None)


@contextlib.contextmanager
def signals_held() -> Iterator[HeldSignals]:
    """Hold an interrupt, a hang-up or a request to terminate until the caller delivers it.

    The program's own handler would be called wherever the signal arrives. An exception that it raises there may be
    inside a library that loses it. A signal that the program ignores, or leaves to the system, is not held.

    Yields:
        The held signals. Those that were not delivered are when the block ends without an exception.
    """
    main = threading.current_thread() is threading.main_thread()
    usual = {number: signal.getsignal(number) for number in _ENDING} if main else {}
    held = HeldSignals({number: handler for number, handler in usual.items() if callable(handler)})
    replaced = [number for number, handler in usual.items() if callable(handler)]
    for number in replaced:
        signal.signal(number, held.remember)
    try:
        yield held
    finally:
        for number in replaced:
            signal.signal(number, usual[number])
    held.deliver()
