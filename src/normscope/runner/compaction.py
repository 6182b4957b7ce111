"""Compacts the store while cells run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from normscope.store import Store, StoreError


@contextlib.contextmanager
def background_compaction(store: Store) -> Iterator[Callable[[], None]]:
    """Compact the store from a thread of its own as cells finish, so that no worker waits for it.

    Yields:
        A function to call once for each finished cell, by one thread at a time.

    Raises:
        Exception: what else than a refusal of the disk has ended the thread.
    """
    due = threading.Event()
    ended = False
    finished = 0
    failures: list[Exception] = []

    def compact_when_due() -> None:
        while due.wait() and not ended:
            due.clear()
            try:
                with contextlib.suppress(
                    StoreError
                ):  # The last compaction, after the run, says so if it lasts.
                    store.compact()
            except Exception as error:
                failures.append(error)
                return

    def count() -> None:
        nonlocal finished
        finished += 1
        if finished % store.compact_at == 0:
            due.set()

    thread = threading.Thread(target=compact_when_due, daemon=True)
    thread.start()
    try:
        yield count
    finally:
        ended = True
        due.set()
        thread.join()
    if failures:
        raise failures[0]
