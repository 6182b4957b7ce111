"""The commands that tests disturb, each with the folder it starts from and what it writes undisturbed."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import trial
from failing import Ended, Orders, Server, calls
from sample_cells import Numbers, numbers

from normscope.runner.worker import run_and_store
from normscope.store import Store

_RUN = ("reproduce", trial.ID, "--workers", "2", "--out")
_DATA = ("reproduce", "chai2020.trial", "--workers", "1", "--out")
_SWEEP = (
    "sweep", "--network", "lenet", "--norm", "batch", "--lr", "0.1", "--seeds", "1", "--epochs", "1",
    "--images", "64", "--workers", "1", "--out",
)  # fmt: skip
_LEFT = 25
"""Number of cells that a resumed run finds."""
_UNREFERRED = 5
"""Number of cells that nothing refers to; they end in a segment together with others."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command and the state of the disk it starts from.

    Attributes:
        name: for tables.
        start: the state, one of :class:`Starts`.
        words: the command line before the results folder.
        then: the command line, before the folder, that must end as if nothing had been disturbed.
        after: the command line after the results folder; ``{root}`` is the folder around it.
        reference: the state that ``then`` ends with.
        roles: the processes that make calls below the folder.
        entries: the module of the catalogue; ``None`` for the trial experiment.
        imports: what the server imports first.
        slots: number of points for each kind of call.
    """

    name: str
    start: str
    words: tuple[str, ...]
    then: tuple[str, ...] = _RUN
    after: tuple[str, ...] = ()
    reference: str = "finished"
    roles: tuple[str, ...] = ("driver",)
    entries: str | None = None
    imports: tuple[str, ...] = ()
    slots: int = 3

    def command(self, root: Path) -> list[str]:
        """The words of the command line."""
        return [*self.words, str(root / "runs"), *(word.format(root=root) for word in self.after)]

    def run(self, server: Server, root: Path, **options: object) -> Ended:
        """Run the command in a folder."""
        return self._start(server, root, self.command(root), **options)

    def run_again(self, server: Server, root: Path) -> Ended:
        """Run the command that ends the work."""
        return self._start(server, root, [*self.then, str(root / "runs")])

    def _start(self, server: Server, root: Path, words: list[str], **options: object) -> Ended:
        environment = {"NORMSCOPE_CACHE": str(root / "cache"), "TRIAL_SECONDS": "0"}
        environment.update(options.pop("environment", {}))  # type: ignore[call-overload]
        return server.run(words, environment, entries=self.entries, imports=self.imports, **options)  # type: ignore[arg-type]


_BOTH = ("driver", "worker")
_CSV = ("--csv", "{root}/claims.csv")
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("reproduce", "empty", _RUN, roles=_BOTH, slots=3),
        Scenario("reproduce, resumed", "resumed", _RUN, roles=_BOTH, slots=2),
        Scenario("reproduce, finished", "finished", _RUN, slots=4),
        Scenario("report", "finished", ("report",), after=_CSV, slots=4),
        Scenario("clean", "cluttered", ("clean",), slots=4),
        Scenario(
            "sweep", "data", _SWEEP, _SWEEP, reference="swept", roles=_BOTH, imports=("torch",), slots=1
        ),
        Scenario("sweep, finished", "swept", _SWEEP, _SWEEP, reference="swept", imports=("torch",), slots=2),
        Scenario(
            "data, prepared", "data", _DATA, _DATA, reference="read", roles=_BOTH, entries="data_trial",
            imports=("data_trial",), slots=2,
        ),
        Scenario(
            "data, unprepared", "empty", _DATA, _DATA, reference="read", entries="data_trial",
            imports=("data_trial",), slots=1,
        ),
    )
}  # fmt: skip


class Starts:
    """States of the disk, each made once.

    Args:
        folder: where they are kept.
        server: runs the commands that make them.

    Attributes:
        server: as given.
    """

    def __init__(self, folder: Path, server: Server) -> None:
        self._folder, self.server = folder, server

    def copy(self, name: str, root: Path) -> Path:
        """Copy a state to a folder that does not exist."""
        return shutil.copytree(self.state(name), root)

    def state(self, name: str) -> Path:
        """The folder of a state, which nobody may change."""
        root = self._folder / name
        if not root.exists():
            making = self._folder / f"making-{name}"
            shutil.rmtree(making, ignore_errors=True)  # an attempt that failed
            getattr(self, f"_make_{name}")(making)
            making.rename(root)
        return root

    def _make_empty(self, root: Path) -> None:
        root.mkdir()

    def _make_finished(self, root: Path) -> None:
        self._undisturbed("reproduce", root)

    def _make_resumed(self, root: Path) -> None:
        """Cells of which a number failed; nothing but the store is left of the run."""
        root.mkdir()
        faults = ",".join(["memory"] * (trial.CELLS - _LEFT))
        SCENARIOS["reproduce"].run(self.server, root, environment={"TRIAL_FAULTS": faults})
        for path in (root / "runs").iterdir():
            if path.is_dir() and path.name != "cells":
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
        assert len(Store(root / "runs" / "cells").keys()) == _LEFT

    def _make_cluttered(self, root: Path) -> None:
        """A finished folder with cells that nothing refers to, an older copy, a damaged file and leftovers."""
        store = Store(root / "runs" / "cells")
        for start in range(_UNREFERRED):
            run_and_store(
                numbers, Numbers(float(start)), numbers.cell(Numbers(float(start))).key(str), store, {}
            )
        self._run("reproduce", root)
        again = trial.experiment().cells("quick", None)[0]
        run_and_store(trial.count_from, again.config, again.key(str), store, {})
        (store.folder / "_unreadable").mkdir()
        (store.folder / "_unreadable" / f"{'0' * 32}.parquet").write_bytes(b"damaged")
        for folder in (store.folder, root / "runs" / trial.ID):
            (folder / f".data.parquet.{'0' * 16}.tmp").write_bytes(b"half")

    def _make_data(self, root: Path) -> None:
        """Data that are prepared."""
        self._undisturbed("data, unprepared", root)
        shutil.rmtree(root / "runs")

    def _make_read(self, root: Path) -> None:
        self._undisturbed("data, unprepared", root)

    def _make_swept(self, root: Path) -> None:
        self._undisturbed("sweep", root)

    def _undisturbed(self, name: str, root: Path) -> None:
        self.copy(SCENARIOS[name].start, root)
        self._run(name, root)

    def _run(self, name: str, root: Path) -> None:
        ended = SCENARIOS[name].run(self.server, root)
        assert ended.status == 0, ended.stderr


def results(root: Path) -> dict[str, bytes]:
    """What a command writes for its user, by path: everything but the cells and what begins with a dot."""
    runs = root / "runs"
    names = {path.relative_to(runs): path for path in runs.rglob("*") if path.is_file()}
    return {
        str(name): path.read_bytes()
        for name, path in names.items()
        if name.parts[0] != "cells" and not path.name.startswith(".")
    }


def files(root: Path) -> Iterator[Path]:
    """The files that were written under final names, except those that were moved away as damaged."""
    for path in root.rglob("*"):
        written = not path.name.startswith(".") and path.suffix != ".lock"
        if path.is_file() and written and path.parent.name != "_unreadable":
            yield path


def torn(path: Path) -> bool:
    """Whether a file is not complete."""
    content = path.read_bytes()
    try:
        if path.suffix == ".parquet":
            pq.ParquetFile(path, page_checksum_verification=True).read()
        elif path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".npy":
            np.load(path)
        else:
            endings = {".html": b"</html>", ".svg": b"</svg>", ".png": b"IEND\xaeB`\x82", ".csv": b""}
            return not content or not content.rstrip().endswith(endings[path.suffix])
    except Exception:
        return True
    return False


def set_aside(root: Path) -> set[Path]:
    """The files that were moved away as damaged."""
    return {path.relative_to(root) for path in root.rglob("_unreadable/*")}


def count(server: Server, scenario: Scenario, starts: Starts, root: Path) -> dict[str, dict[str, list[str]]]:
    """The calls that an undisturbed command makes below its folder: by role and kind, their paths in order."""
    starts.copy(scenario.start, root)
    log = root.with_suffix(".log")
    orders = str(Orders([root], log))
    ended = scenario.run(server, root, orders=orders, environment={"FAILING": orders})
    assert ended.status == 0, ended.stderr
    found: dict[str, dict[str, list[str]]] = {}
    first: dict[str, int] = {}
    for call in calls(log):
        role = "driver" if call.process == ended.process else "worker"
        if call.process == first.setdefault(role, call.process):  # of several workers, the first
            path = call.path.removeprefix(f"{root}/")
            found.setdefault(role, {}).setdefault(call.kind, []).append(path)
    return found
