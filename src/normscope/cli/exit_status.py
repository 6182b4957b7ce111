"""The exit status of every command."""

from __future__ import annotations

import enum


class ExitStatus(enum.IntEnum):
    """How a command ended; 0 means that it is done."""

    CELL_FAILED = 1
    BAD_USE = 2
    """A bad option or bad input, explained in one line."""
    CLAIM_FAILED = 3
    """Under ``--strict``: a claim does not hold."""
    INTERRUPTED = 130
