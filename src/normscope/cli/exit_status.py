"""The exit status of every command."""

from __future__ import annotations

import enum


class ExitStatus(enum.IntEnum):
    """How a command ended; 0 means that it is done."""

    CELL_FAILED = 1
    """A cell failed, or there was no memory left."""
    BAD_USE = 2
    """A bad option or bad input, or a file that cannot be read or written now; explained in one line."""
    CLAIM_FAILED = 3
    """Under ``--strict``: a claim does not hold."""
    INTERRUPTED = 130
    """Ctrl-C, or the terminal has gone (SIGINT, SIGHUP)."""
    READER_GONE = 141
    """Whoever read the output stopped, as ``head`` does (SIGPIPE)."""
    TERMINATED = 143
    """The process was told to end (SIGTERM)."""
