"""A cell: a named function, its version and a frozen configuration; its key says what it computes.

Two cells with the same key give the same rows, bit for bit, on like devices, whatever the number of workers. The key is
a hash of the function's name and version, the canonical configuration, the digests of the data sets and of the user's
own files it reads, the device kind and torch's minor version. It covers neither the module that the function happens to
live in nor the rest of normscope's source: a file can move, and a commit can be made, without voiding finished work.
The author bumps the version when a function's rows change their meaning.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import math
import re
import typing
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from normscope.errors import InputError, UnknownNameError
from normscope.protocol.claims import NotJudgedError
from normscope.protocol.table import COLUMNS, select

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Config = TypeVar("Config")

EVERY_DEVICE = ("cpu", "cuda", "mps")
"""For a cell that computes in float32 throughout."""

WITH_FLOAT64 = ("cpu", "cuda")
"""For a cell that computes in float64, as instruments do when they sum."""

CPU_ONLY = ("cpu",)
"""For a cell that computes without torch."""

_KEY_DIGITS = 32
_EXACT_INTEGER = 2**53
_RESERVED = {*COLUMNS, "cell", "function"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One independent piece of work.

    Attributes:
        name: name of its :class:`CellFunction`.
        version: the function's version.
        config: a frozen dataclass of strings, numbers, booleans, ``None`` and tuples of these.
        data: names of the data sets that it reads.
        files: the user's own files that it depends on (a norm or network given by import path).
        device: the kind of device that it runs on, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        cost: a rough estimate of its seconds on one CPU core, for ordering and for the estimate before a run.
        images: number of training images it needs of each of its data sets, checked before a run.
        module: the module that defines the function, which a worker imports. It is no part of the key.
        devices: the kinds of device on which the function computes this configuration.
    """

    name: str
    version: int
    config: Any
    data: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    device: str = "cpu"
    cost: float = dataclasses.field(default=1.0, compare=False)
    images: int = dataclasses.field(default=0, compare=False)
    module: str = dataclasses.field(default="", compare=False)
    devices: tuple[str, ...] = dataclasses.field(default=WITH_FLOAT64, compare=False)

    def on(self, kind: str) -> Cell:
        """The same work on a kind of device. A cell that computes without torch stays on the CPU.

        Raises:
            InputError: for a cell that computes in float64, on a device that cannot.
        """
        if kind == self.device or self.devices == CPU_ONLY:
            return self
        if kind not in self.devices:
            raise InputError(
                f"{re.split('[.:]', self.name)[-1]} computes in float64, which {kind} devices do not have: "
                f"run it on {' or '.join(self.devices)}."
            )
        return dataclasses.replace(self, device=kind)

    def key(self, digest: Callable[[str], str]) -> str:
        """The name under which a store keeps the cell: 32 hexadecimal digits.

        Args:
            digest: returns the digest of the data set of a name.
        """
        identity = {
            "function": self.name,
            "version": self.version,
            "config": canonical_config(self.config),
            "data": {name: digest(name) for name in self.data},
            "files": sorted(_file_digest(name) for name in self.files),
            "device": self.device,
            "torch": torch_minor_version(),
        }
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]

    def describe(self) -> str:
        """The cell in one line: its function's short name and the settings that differ from their defaults."""
        settings = ", ".join(f"{name}={value}" for name, value in canonical_config(self.config).items())
        return f"{re.split('[.:]', self.name)[-1]}({settings})"


class CellFunction(Generic[Config]):
    """A function that can be run as a cell; made by the :func:`cell` decorator.

    Calling it runs it in this process and returns its rows; :meth:`cell` makes the cell for a configuration.
    """

    def __init__(
        self,
        run: Callable[[Config], pa.Table],
        name: str,
        version: int,
        cost: Callable[[Config], float],
        data: Callable[[Config], tuple[str, ...]],
        files: Callable[[Config], tuple[str, ...]],
        images: Callable[[Config], int],
        devices: Callable[[Config], tuple[str, ...]],
    ) -> None:
        functools.update_wrapper(self, run)
        self.name, self.version, self.module = name, version, run.__module__
        self._run, self._cost, self._data, self._files, self._images = run, cost, data, files, images
        self._devices = devices

    @functools.cached_property
    def config_type(self) -> type[Config]:
        """The configuration's class, which annotates the function's only parameter."""
        hints = typing.get_type_hints(self._run, localns={"pa": _AnyTable})
        hints.pop("return", None)
        config_type, *others = [*hints.values()] or [object]
        parameters = getattr(config_type, "__dataclass_params__", None)
        if others or parameters is None or not parameters.frozen:
            raise TypeError(f"cell {self.name!r} must have one parameter, annotated with a frozen dataclass")
        clash = _RESERVED & {field.name for field in dataclasses.fields(config_type)}
        if clash:
            raise TypeError(f"{config_type.__name__} may not name a field {sorted(clash)}: the table has it")
        return typing.cast("type[Config]", config_type)

    def __repr__(self) -> str:
        return f"<cell function {self.name}, version {self.version}>"

    def __call__(self, config: Config) -> pa.Table:
        """The rows of ``config``, computed in this process."""
        return self._run(config)

    def cell(self, config: Config) -> Cell:
        """The cell that runs this function on ``config``."""
        if type(config) is not self.config_type:
            raise TypeError(f"{self.name} takes a {self.config_type.__name__}, not a {type(config).__name__}")
        return Cell(
            self.name,
            self.version,
            config,
            data=self._data(config),
            files=self._files(config),
            cost=self._cost(config),
            images=self._images(config),
            module=self.module,
            devices=self._devices(config),
        )

    def rows(self, table: pd.DataFrame, **conditions: Any) -> pd.DataFrame:
        """The rows of a table that this function made, and whose columns equal the given values.

        Raises:
            NotJudgedError: when there are none, saying what is missing.
        """
        if "function" not in table or not (table["function"] == self.name).any():
            raise NotJudgedError(f"no rows of {self.name}: no such cell has finished in this folder")
        return select(table, function=self.name, **conditions)

    def config_from(self, fields: dict[str, Any]) -> Config:
        """The configuration whose :func:`canonical_config` is ``fields``."""
        hints = typing.get_type_hints(self.config_type)
        return self.config_type(**{name: _decode(value, hints[name]) for name, value in fields.items()})


class _AnyTable:
    """Takes the place of ``pa.Table`` when annotations are read without importing pyarrow."""

    Table = object


_KNOWN: dict[str, CellFunction[Any]] = {}


def cell(
    *,
    name: str,
    version: int,
    cost: Callable[[Any], float] = lambda config: 1.0,
    data: Callable[[Any], tuple[str, ...]] = lambda config: (config.data,) if hasattr(config, "data") else (),
    files: Callable[[Any], tuple[str, ...]] = lambda config: (),
    images: Callable[[Any], int] = lambda config: getattr(config, "images", 0),
    devices: Callable[[Any], tuple[str, ...]] = lambda config: WITH_FLOAT64,
) -> Callable[[Callable[[Config], pa.Table]], CellFunction[Config]]:
    """Make a function of one frozen configuration into a :class:`CellFunction`.

    Args:
        name: the function's name for good, such as ``"chai2020.train_lenet"``: keys and stored rows go by it, so it
            stays when the function moves to another module.
        version: a number that the author raises whenever the rows change their meaning or their bits.
        cost: rough seconds on one CPU core for a configuration.
        data: names of the data sets that a configuration reads; by default its field ``data``, if any.
        files: the user's own files that a configuration depends on.
        images: how many training images a configuration needs; by default its field ``images``, if any.
        devices: the kinds of device on which a configuration can be computed: :data:`WITH_FLOAT64` by default,
            :data:`EVERY_DEVICE` or :data:`CPU_ONLY`.
    """

    def register(run: Callable[[Config], pa.Table]) -> CellFunction[Config]:
        function = CellFunction(run, name, version, cost, data, files, images, devices)
        known = _KNOWN.setdefault(name, function)
        if (known.module, known._run.__qualname__) != (run.__module__, run.__qualname__):
            raise TypeError(f"two cells are named {name!r}: in {known.module} and in {run.__module__}")
        if known is not function and getattr(known._run, "__code__", None) is getattr(
            run, "__code__", function
        ):
            raise TypeError(
                f"two cells are named {name!r}: a function that is made anew each time cannot be a cell"
            )
        _KNOWN[name] = function
        return function

    return register


def known_cell(name: str) -> CellFunction[Any]:
    """The cell function of that name, among those of the modules imported so far.

    Nothing is imported for the name's sake: it may come from a file that somebody else has written.

    Raises:
        UnknownNameError: no module imported so far defines such a cell.
    """
    if name not in _KNOWN:
        raise UnknownNameError("cell", name, _KNOWN)
    return _KNOWN[name]


def canonical_config(config: Any) -> dict[str, Any]:
    """The configuration as JSON values. Defaults are left out, so that a new option keeps old keys.

    1 and 1.0 give the same value; infinities become strings; NaN is refused, since it does not equal itself.
    """
    fields = {}
    for field in dataclasses.fields(config):
        value = _canonical(getattr(config, field.name), field.name)
        if field.default is dataclasses.MISSING or value != _canonical(field.default, field.name):
            fields[field.name] = value
    return fields


@functools.cache
def torch_minor_version() -> str:
    """Major and minor version of the installed torch, such as ``"2.13"``, read without importing torch."""
    return ".".join(importlib.metadata.version("torch").split(".")[:2])


def _canonical(value: Any, name: str) -> Any:
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            raise InputError(f"{name} is not a number: give a finite value.")
        if math.isinf(value):
            return str(value)
        return int(value) if value.is_integer() and abs(value) < _EXACT_INTEGER else value
    if isinstance(value, tuple):
        return [_canonical(item, name) for item in value]
    raise TypeError(
        f"{name}: a configuration holds strings, numbers, booleans, None and tuples, not {value!r}"
    )


def _decode(value: Any, hint: Any) -> Any:
    if hint is float or (float in typing.get_args(hint) and not isinstance(value, bool | list | None)):
        return float(value)
    if isinstance(value, list):
        (item_hint, *_) = typing.get_args(hint) or (Any,)
        return tuple(_decode(item, item_hint) for item in value)
    return value


def _file_digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
