"""A results folder: where its parts are, and the lock under which they are written."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from normscope.disk.aside import ASIDE
from normscope.disk.atomic import check_writable, leftovers, make_folder
from normscope.disk.locks import WaitingLock
from normscope.papers.other_data import base_of
from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.files import CannotReadError, cannot_write, reading
from normscope.results.scorecard import Scorecard
from normscope.store import Store

DEFAULT_PATH = Path("normscope-runs")
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class ResultsFolder:
    """A results folder and its parts. Nothing is read or created until a method needs it.

    The folder's own path may be a link. Below it no link is followed.

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
        """The experiments' folders that hold something of a run, by name.

        A link counts, too: what it leads to is not looked at, and reading it is refused. So does a folder that cannot
        be looked into: reading it says why.

        Raises:
            CannotReadError: the results folder cannot be listed.
        """
        real, links = self._entries()
        found = [*filter(_may_hold_a_run, map(ExperimentFolder, real)), *map(ExperimentFolder, links)]
        return sorted(found, key=lambda folder: folder.id)

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
        with contextlib.ExitStack() as stack:
            try:
                make_folder(self.path)
                stack.enter_context(WaitingLock(self.path / ".lock"))
                for path in self.leftovers():
                    path.unlink(missing_ok=True)
            except OSError as error:
                raise cannot_write(self.path, error) from error
            yield

    def leftovers(self) -> Iterator[Path]:
        """The temporary files of dead writers among the reports; each is locked while the caller has it.

        Raises:
            OSError: a folder cannot be listed.
        """
        for place in (self.path, *self._entries()[0]):
            yield from leftovers(place)

    def _entries(self) -> tuple[list[Path], list[Path]]:
        """The folders that may be experiments', and the links in the results folder."""
        ours = {self.store.folder.name, self.scorecard.path.name, self.page.name, ASIDE}
        folders, links = [], []
        try:
            with reading(self.path), os.scandir(self.path) as entries:
                for entry in entries:
                    if entry.name in ours or entry.name.startswith("."):
                        continue
                    if entry.is_symlink():
                        links.append(self.path / entry.name)
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(self.path / entry.name)
        except FileNotFoundError:
            return [], []
        return sorted(folders), links


def _may_hold_a_run(folder: ExperimentFolder) -> bool:
    try:
        return folder.exists()
    except CannotReadError:
        return True
