"""What the system refuses, in a sentence: a file, memory, a thread, a library."""

from __future__ import annotations

import errno
import os

from normscope.cli.exit_status import ExitStatus

_OUT_OF_MEMORY = (ExitStatus.CELL_FAILED, "out of memory: fewer workers leave more for each.")
_NO_THREAD = "can't start new thread"
_MEMORY_WORDS = ("failed to map segment from shared object", os.strerror(errno.ENOMEM))
_FEW = 8


def refusal(error: Exception) -> tuple[ExitStatus, str] | None:
    """The exit status and the sentence for an error with which the system refuses something; ``None`` for any other."""
    match error:
        case MemoryError():
            return _OUT_OF_MEMORY
        case OSError():
            reason = error.strerror or str(error) or type(error).__name__
            words = f"{reason}." if error.filename is None else f"{error.filename}: {reason}."
            return ExitStatus.BAD_USE, words
        case RuntimeError() if str(error) == _NO_THREAD:
            return (
                ExitStatus.BAD_USE,
                "the system starts no more threads: memory is short, or `ulimit -u` allows too few.",
            )
        case ImportError() if any(words in str(error) for words in _MEMORY_WORDS):
            return _OUT_OF_MEMORY
        case ImportError() if _few_files_left():  # Python says that there is no such module, which is not so.
            return ExitStatus.BAD_USE, f"{error}: too few files may be open, see `ulimit -n`."
    return None


def _few_files_left() -> bool:
    """Whether this process can open but a few more files."""
    opened: list[int] = []
    try:
        while len(opened) < _FEW:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return True
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False
