"""The error of a store's folder."""

from __future__ import annotations

from pathlib import Path

from normscope.errors import InputError


class StoreError(InputError):
    """The store's folder cannot be read or written; the message is one sentence with the system's reason."""


def cannot_write(folder: Path, error: OSError) -> StoreError:
    """The error to raise when the system refuses to write to a store's folder."""
    return StoreError(f"cannot write to {folder}: {error.strerror or error}.")
