"""What a disk may show after the power was lost, from a record of what processes did to it.

The rules are POSIX's: a flushed file keeps its content of that moment, and a flushed folder its names. Everything else
may be there or not: a file that was never flushed may be empty or a part of itself, and a name that was made, moved or
removed in a folder since the folder was flushed may be the old one.
"""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

KINDS = ("nothing unflushed", "everything", "names without data", "any of it", "the first of it")
"""What survives of the changes that were not flushed."""


@dataclasses.dataclass(frozen=True)
class Event:
    """A record of ``preload/recording.c``."""

    operation: str
    inode: int
    number: int
    path: str
    other: str
    content: bytes


def events(log: Path) -> list[Event]:
    """The records of a log, in order."""
    bytes_, place, found = log.read_bytes(), 0, []

    def take(size: int) -> bytes:
        nonlocal place
        place += size
        return bytes_[place - size : place]

    while place < len(bytes_):
        end = bytes_.index(b"\n", place)
        _, operation, *numbers = take(end - place + 1).decode().split()
        inode, number, path, other, size = map(int, numbers)
        found.append(Event(operation, inode, number, take(path).decode(), take(other).decode(), take(size)))
    return found


@dataclasses.dataclass(eq=False)
class _File:
    content: bytes = b""
    flushed: bytes = b""


@dataclasses.dataclass
class _Change:
    """Names of a folder that were made or removed; ``None`` is a name that is gone."""

    time: int
    names: dict[str, _File | _Folder | None]


@dataclasses.dataclass(eq=False)
class _Folder:
    flushed: dict[str, _File | _Folder] = dataclasses.field(default_factory=dict)
    unflushed: list[_Change] = dataclasses.field(default_factory=list)

    def names(self, survives: Callable[[int], bool] = lambda time: True) -> dict[str, _File | _Folder]:
        found: dict[str, _File | _Folder | None] = dict(self.flushed)
        for change in self.unflushed:
            if survives(change.time):
                found |= change.names
        return {name: target for name, target in found.items() if target is not None}


class Disk:
    """A folder on a disk that loses power: its files as processes see them, and what of them is safe.

    Args:
        root: the folder, as it was before the first event; all of it is safe.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._time = 0
        self._files: dict[int, _File] = {}
        self._folders: dict[str, _Folder] = {}
        self._read(root)

    def apply(self, event: Event) -> None:
        """Follow one event."""
        self._time += 1
        if event.operation == "create":
            self._files[event.inode] = _File()
            self._name(event.path, self._files[event.inode])
        elif event.operation == "mkdir":
            self._folders[event.path] = _Folder()
            self._name(event.path, self._folders[event.path])
        elif event.operation == "write":
            file = self._files[event.inode]
            before = file.content[: event.number].ljust(event.number, b"\0")
            file.content = before + event.content + file.content[event.number + len(event.content) :]
        elif event.operation == "truncate":
            file = self._files[event.inode]
            file.content = file.content[: event.number].ljust(event.number, b"\0")
        elif event.operation == "flush" and event.path in self._folders:
            folder = self._folders[event.path]
            folder.flushed, folder.unflushed = folder.names(), []
        elif event.operation == "flush":
            file = self._files[event.inode]
            file.content = file.flushed = event.content
        elif event.operation == "rename":
            self._rename(event)
        elif event.operation == "remove":
            self._name(event.path, None)
        else:
            assert event.operation == "mark", event.operation

    def crash(self, kind: str, dice: random.Random) -> dict[str, bytes | None]:
        """What the disk shows after a crash: contents by path, ``None`` for a folder.

        Args:
            kind: one of :data:`KINDS`.
            dice: decides what survives of ``"any of it"`` and ``"the first of it"``.
        """
        last = dice.randint(0, self._time)
        kept = {time for time in range(self._time + 1) if dice.random() < 1 / 2}
        survives = {
            "nothing unflushed": lambda time: False,
            "any of it": lambda time: time in kept,
            "the first of it": lambda time: time <= last,
        }.get(kind, lambda time: True)

        def content(file: _File) -> bytes:
            if kind in ("nothing unflushed", "names without data"):
                return file.flushed
            if kind == "everything" or file.content == file.flushed:
                return file.content
            part = file.content[: dice.randint(0, len(file.content))]
            return dice.choice([file.flushed, part, file.content])

        found: dict[str, bytes | None] = {}

        def walk(folder: _Folder, path: str) -> None:
            for name, target in folder.names(survives).items():
                if isinstance(target, _Folder):
                    found[f"{path}{name}"] = None
                    walk(target, f"{path}{name}/")
                else:
                    found[f"{path}{name}"] = content(target)

        walk(self._folders[self._root], "")
        return found

    def _read(self, place: Path) -> _Folder:
        folder = self._folders[str(place)] = _Folder()
        for path in place.iterdir():
            if path.is_dir():
                folder.flushed[path.name] = self._read(path)
            else:
                file = self._files[path.stat().st_ino] = _File(path.read_bytes(), path.read_bytes())
                folder.flushed[path.name] = file
        return folder

    def _name(self, path: str, target: _File | _Folder | None) -> None:
        folder, name = os.path.split(path)
        self._folders[folder].unflushed.append(_Change(self._time, {name: target}))

    def _rename(self, event: Event) -> None:
        (folder, name), (other, new) = os.path.split(event.path), os.path.split(event.other)
        target = self._folders[folder].names()[name]
        assert isinstance(target, _File), "only files are moved"
        target.content = event.content
        if folder == other:
            self._folders[folder].unflushed.append(_Change(self._time, {name: None, new: target}))
        else:
            self._name(event.other, target)
            self._name(event.path, None)


@dataclasses.dataclass(frozen=True)
class State:
    """The disk after a crash.

    Attributes:
        place: the number of events before the crash.
        last: the last of them, in words.
        kind: one of :data:`KINDS`.
        files: contents by path, ``None`` for a folder.
        reported: what was marked before the crash.
    """

    place: int
    last: str
    kind: str
    files: Mapping[str, bytes | None]
    reported: frozenset[str]

    def write(self, root: Path) -> None:
        """Make a folder with these files."""
        root.mkdir()
        for path, content in self.files.items():
            if content is None:
                (root / path).mkdir()
            else:
                (root / path).write_bytes(content)


def states(disk: Disk, recorded: Iterable[Event], dice: random.Random) -> Iterator[State]:
    """The states of every kind at every crash point: before the first event, and after each.

    Args:
        disk: as it was before the first event; it follows them.
        recorded: the events.
        dice: decides what survives.
    """
    reported: set[str] = set()
    for place, event in enumerate([Event("mark", 0, 0, "", "", b""), *recorded]):
        disk.apply(event)
        if event.operation == "mark" and event.path:
            reported.add(event.path)
        last = f"{event.operation} {os.path.basename(event.other or event.path)}"
        for kind in KINDS:
            yield State(place, last, kind, disk.crash(kind, dice), frozenset(reported))
