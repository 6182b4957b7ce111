"""A results folder: where its parts are, and the lock under which they are written."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from normscope.disk.atomic import check_writable, leftovers
from normscope.papers.other_data import base_of
from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.files import cannot_write
from normscope.results.scorecard import Scorecard
from normscope.store import Store

DEFAULT_PATH = Path("normscope-runs")
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class ResultsFolder:
    """A results folder and its parts. Nothing is read or created until a method needs it.

    Args:
        path: the folder; by default ``normscope-runs`` in the working directory.

    Attributes:
        store: the finished cells, in ``cells/``.
        scorecard: every claim with its verdict, in ``scorecard.json``.
        page: the path of the page, ``report.html``.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = DEFAULT_PATH if path is None else Path(path)
        self.store = Store(self.path / "cells")
        self.scorecard = Scorecard(self.path / "scorecard.json")
        self.page = self.path / "report.html"

    def __str__(self) -> str:
        return str(self.path)

    def experiment(self, id: str) -> ExperimentFolder:
        """The folder of the experiment of that name, whether it exists or not."""
        return ExperimentFolder(self.path / id)

    def experiments(self) -> list[ExperimentFolder]:
        """The experiments' folders that hold a table or the note of an unfinished run, by name."""
        if not self.path.is_dir():
            return []
        folders = (ExperimentFolder(path) for path in sorted(self.path.iterdir()) if path.is_dir())
        return [folder for folder in folders if folder.exists()]

    def runs_of(self, id: str) -> list[ExperimentFolder]:
        """The folders of a paper's experiment: its own, whether it exists or not, then those of other data sets."""
        others = [folder for folder in self.experiments() if folder.id != id and base_of(folder.id) == id]
        return [self.experiment(id), *others]

    def is_read_only(self) -> bool:
        """Whether the system forbids writing here; any other obstacle shows when something is written."""
        try:
            check_writable(self.path)
        except OSError as error:
            return error.errno in _READ_ONLY
        return False

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Lock the folder, so that tables, scorecard and page never come half from one process and half from another.

        Files that killed processes left half-written are removed first.

        Raises:
            InputError: when the folder cannot be created or written.
        """
        lock = FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise cannot_write(self.path, error) from error
        with contextlib.ExitStack() as stack:
            stack.callback(lock.release)
            for place in (self.path, *filter(Path.is_dir, self.path.iterdir())):
                for path in leftovers(place):
                    path.unlink(missing_ok=True)
            yield
