"""How the command's process ends before its work is done: by a signal, or because the reader of its output has gone.

The first cause decides the exit status. It unwinds the main thread with :class:`Ended`, so that workers are stopped,
half-written files removed and locks released on the way.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING

from normscope.cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTED = "interrupted; finished cells are kept: the same command goes on with the others."
_SIGNALS = {
    signal.SIGINT: ExitStatus.INTERRUPTED,
    signal.SIGHUP: ExitStatus.INTERRUPTED,
    signal.SIGTERM: ExitStatus.TERMINATED,
}
_PATIENCE = 1.0
_LAST_SECONDS = 10.0


class Ended(BaseException):
    """Raised in the main thread when the process is to end.

    It is no ``KeyboardInterrupt``, since the command line's parser turns that one into its own exit status.
    """


class Ending:
    """What ends the process, if anything does.

    Attributes:
        status: the exit status that the first cause asks for; ``None`` as long as there is none.
        errors: the file descriptor of the standard error.
    """

    def __init__(self) -> None:
        self.status: ExitStatus | None = None
        self._since = 0.0
        self._raised = False
        self._said = False
        self._final: int | None = None
        self._owns_process = False
        self.errors = 2

    def take_signals(self) -> None:
        """Handle SIGINT, SIGTERM and SIGHUP from now on; one that is ignored, as under ``nohup``, stays ignored."""
        self._owns_process = True
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        # Python ignores this one. Another thread wakes the main thread with it; without a reason it does nothing.
        signal.signal(signal.SIGPIPE, self._on_wake)
        sys.unraisablehook = self._on_unraisable
        threading.excepthook = self._on_thread_error
        _leave_to_forks()
        # Of all that runs at the exit this comes last. Then Python would give the signals back to the system.
        atexit.register(_handle_signals, signal.SIG_IGN)

    def reader_gone(self) -> None:
        """End the process, since nobody reads its output any more. Any thread may call it.

        Raises:
            Ended: in the main thread.
        """
        if self.status is not None:
            return
        self._begin(ExitStatus.READER_GONE)
        main = threading.main_thread()
        if threading.current_thread() is main:
            self._raise()
        elif main.ident is not None:
            signal.pthread_kill(main.ident, signal.SIGPIPE)

    def finish(self, status: int) -> None:
        """The work is done and said: a signal from now on ends the process with that exit status.

        So does the time: a thread that a user's module has started may never end, and Python waits for it.
        """
        self._final = status
        self._limit_time()

    def say(self) -> None:
        """Say once, in one line, that the work was interrupted; nothing when the reader of the output has gone."""
        if self._said or self.status in (None, ExitStatus.READER_GONE):
            return
        self._said = True
        # Past the streams of Python: one of their locks may be held by the code that the signal has interrupted.
        with contextlib.suppress(OSError):
            os.write(self.errors, f"normscope: {INTERRUPTED}\n".encode())

    def _begin(self, status: ExitStatus) -> None:
        self.status, self._since = status, time.monotonic()
        self._limit_time()

    def _limit_time(self) -> None:
        """Leave when the process has not ended in ten seconds: a user's code may catch :class:`Ended` and go on."""
        if self._owns_process and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGALRM, self._on_time_out)
            signal.setitimer(signal.ITIMER_REAL, _LAST_SECONDS)

    def _on_time_out(self, number: int, frame: FrameType | None) -> None:
        self._leave()

    def _raise(self) -> None:
        self._raised = True
        raise Ended

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first signal unwinds. Others that follow at once are the same wish; one that comes later ends at once."""
        if self._final is not None:
            self._leave()
        if self.status is None:
            self._begin(_SIGNALS[signal.Signals(number)])
            self._raise()
        elif time.monotonic() - self._since > _PATIENCE:
            self._leave()

    def _on_wake(self, number: int, frame: FrameType | None) -> None:
        if self.status is ExitStatus.READER_GONE and not self._raised:
            self._raise()

    def _on_unraisable(self, lost: UnraisableHookArgs) -> None:
        """Python cannot raise :class:`Ended` in a finalizer and would go on."""
        if isinstance(lost.exc_value, Ended):
            self._leave()
        elif self.status is None:
            sys.__unraisablehook__(lost)

    def _on_thread_error(self, lost: threading.ExceptHookArgs) -> None:
        """What fails in a thread because the process ends is no news."""
        if self.status is None:
            threading.__excepthook__(lost)

    def _leave(self) -> None:
        """End without unwinding. The system releases the locks, and the workers end with this process."""
        if self._final is not None:
            os._exit(self._final)
        self.say()
        os._exit(self.status or ExitStatus.INTERRUPTED)


def _handle_signals(action: signal.Handlers) -> None:
    """Have the system handle the signals: in a fork, which has none of the command's work, or once all is done."""
    # The time is one of them: Python's own end may take longer on a busy machine, and has the status already.
    for number in (*_SIGNALS, signal.SIGALRM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, action)


def _leave_to_forks() -> None:
    """Leave the signals to the system in each fork, by a user's code; one that comes meanwhile is not lost."""
    masks = threading.local()

    def block() -> None:
        masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def leave() -> None:
        _handle_signals(signal.SIG_DFL)
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=leave)
