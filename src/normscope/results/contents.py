"""What the experiments' folders of a results folder hold: each table is read and verified once.

One folder that cannot be shown is never a reason that the others cannot be. It becomes a :class:`Fault`, of one of
three kinds: a damaged table is set aside, and the verdicts that were read from it are taken back; one that the system
does not let us read now stays as it is, with its verdicts; a folder that is not what its name says stays, too, but its
verdicts are taken back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import warnings
from collections.abc import Collection, Iterator

from normscope.disk.aside import ASIDE, set_aside
from normscope.errors import DamagedError, InputError, NormscopeWarning, printable
from normscope.papers.other_data import SEPARATOR
from normscope.protocol import Experiment, Result
from normscope.results.experiment_folder import DrawnFigure, ExperimentFolder
from normscope.results.files import CannotReadError
from normscope.results.folder import ResultsFolder
from normscope.results.run_metadata import RunMetadata
from normscope.results.stored_run import StoredRun

MOST_NAMED = 20
"""Number of folders that are named one by one; there may be any number."""


class FaultKind(enum.Enum):
    """Why a folder cannot be shown."""

    DAMAGED = enum.auto()
    UNREADABLE_NOW = enum.auto()
    FOREIGN = enum.auto()


@dataclasses.dataclass(frozen=True)
class Fault:
    """Why a folder cannot be shown: the kind, and a clause such as ``"its table was damaged"``."""

    kind: FaultKind
    why: str


@dataclasses.dataclass(frozen=True)
class Shown:
    """An experiment that can be shown.

    Attributes:
        stored: its folder.
        experiment: itself.
        metadata: those of its last run.
        figure: the figure if it was drawn just now; ``None`` to read it from the folder.
    """

    stored: ExperimentFolder
    experiment: Experiment
    metadata: RunMetadata
    figure: DrawnFigure | None = None


@dataclasses.dataclass
class Contents:
    """What a results folder holds of experiments.

    Attributes:
        shown: the experiments that can be shown, by name.
        results: the results of those that were judged again.
        faults: the folders that cannot be shown, by name.
    """

    shown: dict[str, Shown] = dataclasses.field(default_factory=dict)
    results: list[Result] = dataclasses.field(default_factory=list)
    faults: dict[str, Fault] = dataclasses.field(default_factory=dict)

    @contextlib.contextmanager
    def noting(self, id: str) -> Iterator[None]:
        """Note why a folder cannot be shown, rather than stop."""
        try:
            yield
        except DamagedError as error:
            self.faults[id] = Fault(FaultKind.DAMAGED, f"its table was damaged ({str(error).rstrip('.')})")
        except CannotReadError as error:
            self.faults[id] = Fault(FaultKind.UNREADABLE_NOW, str(error).rstrip("."))
        except MemoryError:
            self.faults[id] = Fault(FaultKind.UNREADABLE_NOW, "there is too little memory now")
        except InputError as error:
            self.faults[id] = Fault(FaultKind.FOREIGN, str(error).rstrip("."))


def read_run(stored: ExperimentFolder) -> StoredRun | None:
    """What a folder holds of its last run; ``None`` when it only has the note of a run that has not ended.

    Raises:
        InputError: as :meth:`ExperimentFolder.read`; or its table was set aside as damaged, earlier.
    """
    run = stored.read()
    if run is None and any(path.name.startswith(stored.table.name) for path in stored.set_aside_files()):
        raise DamagedError("it was set aside")
    return run


def read_others(folder: ResultsFolder, but: Collection[str], *, judge: bool) -> Contents:
    """What a results folder holds of all experiments but some.

    Args:
        folder: the results folder.
        but: the names of those that are not read.
        judge: whether they are also judged again.

    Raises:
        CannotReadError: the folder cannot be listed.
    """
    contents = Contents()
    for stored in folder.experiments():
        if stored.id in but:
            continue
        with contents.noting(stored.id):
            if (run := read_run(stored)) is not None:
                if judge:
                    contents.results.append(run.judged())
                contents.shown[stored.id] = Shown(stored, run.experiment(), run.metadata)
    return contents


def settle(folder: ResultsFolder, contents: Contents) -> None:
    """Set the damaged tables aside, and warn of what cannot be shown, of very many folders only of the first."""
    for number, (id, fault) in enumerate(contents.faults.items()):
        what = f"{printable(id)} is not on the page: {printable(fault.why)}"
        if fault.kind is FaultKind.DAMAGED:
            stored = folder.experiment(id)
            where = set_aside(stored.table)
            what += f"; the file is now in {stored.path / ASIDE}" if where else ""
            what += f"; {again(id, folder)}"
        if number < MOST_NAMED:
            warnings.warn(f"{what}.", NormscopeWarning, stacklevel=2)
    if (rest := len(contents.faults) - MOST_NAMED) > 0:
        warnings.warn(f"{rest:,} more are not on the page for such reasons.", NormscopeWarning, stacklevel=2)


def again(id: str, folder: ResultsFolder | None = None) -> str:
    """How a table that is lost is made again from its cells, in a clause; with the folder's name if it is given."""
    if SEPARATOR in id or "." not in id:
        return "run its experiment again"
    out = "" if folder is None else f" --out {printable(str(folder))}"
    return f"run `normscope reproduce {id}{out}` again"
