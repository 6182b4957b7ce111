"""A user's own data: read once, kept in the cache under the digest of their content, found again by name.

:func:`pin` reads the data and returns the name that means exactly these contents. Processes that get a pinned name map
the arrays into memory; none calls the user's function again. Only when the arrays have gone from the cache are the data
read once more, and refused if their content is another.

What a function returns may depend on anything, so :func:`pin` calls it every time. The files of a folder are compared
by their sizes and times, and read only if these have changed.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.data import cache
from normscope.data.array_files import Prepared
from normscope.data.facts import Facts
from normscope.data.locations import Source
from normscope.data.names import OwnName
from normscope.errors import DataError, InputError, said
from normscope.nn import specs
from normscope.targets import imported, is_installed, own_files, place_kept

if TYPE_CHECKING:
    from normscope.data.contents import Contents

Moments = tuple[tuple[float, ...], tuple[float, ...]]


def pin(name: OwnName) -> OwnName:
    """The name for the data's present contents, which are in the cache afterwards; a pinned name stays as it is.

    Raises:
        InputError: the function cannot be imported, raises an error, or returns what cannot be used.
        DataError: files cannot be read, or the cache cannot be written.
    """
    return name if name.pin else name.pinned(_materialized(name).digest)


def prepared(name: OwnName) -> Prepared:
    """The arrays of the data, for a pinned name those of its contents.

    Raises:
        InputError, DataError: as :func:`pin`; or the pinned contents are no longer to be had.
    """
    if not name.pin:
        return _materialized(name)
    if found := present(name):
        return found
    found = _materialized(name)
    if not found.digest.startswith(name.pin):
        raise DataError(
            f"data {name.source!r} have changed: their content is {found.digest[: len(name.pin)]}, "
            f"no longer {name.pin}."
        )
    return found


def present(name: OwnName) -> Prepared | None:
    """The arrays of a pinned name as another machine sent them or as they are in the cache, or ``None``."""
    return cache.received(file_stem(name)) or cache.kept(file_stem(name))


def file_stem(name: OwnName) -> str:
    """What the names of a pinned name's files begin with, here and on other machines."""
    return f"{name.stem}-{name.pin}"


def described(name: OwnName, found: Prepared) -> tuple[Facts, Moments]:
    """The facts of data that are in the cache, and the mean and standard deviation of each channel.

    Raises:
        DataError: the cache holds something else under this name.
    """
    about = {**found.facts, "name": str(name.pinned(found.digest)), "digest": found.digest}
    try:
        return Facts.from_json(about), (tuple(about["mean"]), tuple(about["std"]))
    except (TypeError, KeyError) as error:
        raise DataError(f"{found.files[0]} does not describe {name}: remove that file.") from error


def _materialized(name: OwnName) -> Prepared:
    if name.kind == "loader":
        return _kept(name, _called(name))
    folder = Path(name.folder).absolute()
    if not folder.is_dir():
        raise DataError(f"data {name.source!r}: {folder} is not a folder.")
    reader = _reader(name.kind, folder)
    place, stamps = f"{name.kind}:{folder}", Source(str(folder), reader.paths(), "").stamps()
    if (digest := cache.remembered(place, stamps)) and (found := present(name.pinned(digest))):
        return found
    found = _kept(name, reader.read())
    with contextlib.suppress(DataError):  # The note saves time only; a read-only cache has the arrays, too.
        cache.remember(place, stamps, found.digest)
    return found


def _reader(kind: str, folder: Path) -> Any:
    module, reader = {"idx": ("idx_folder", "IdxFolder"), "images": ("image_folders", "ImageFolder")}[kind]
    return getattr(importlib.import_module(f"normscope.data.{module}"), reader).find(folder)


def _kept(name: OwnName, contents: Contents) -> Prepared:
    from normscope.data.preparing import prepare

    ready = prepare(contents, name.source)
    about = {**ready.facts.to_json(), "mean": ready.mean, "std": ready.std}
    return cache.keep(name.stem, ready.facts.digest, ready.arrays, about)


def _called(name: OwnName) -> Contents:
    """What the user's function returns, called with a seed of its own.

    The global generators and the working directory are put back: results must not be written to where a loader went.
    """
    from normscope.data.collecting import collect
    from normscope.generators import seeded

    spec = specs.read(name.source, "data")
    with _fresh_modules(spec.name), seeded(0), place_kept():
        target = imported(spec.name, "data")
        if not callable(target):
            kind = type(target).__name__
            raise InputError(f"data {name.source!r} is a {kind}: name a function that returns it.")
        try:
            return collect(target(**spec.arguments), name.source)
        except (InputError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a user's function may raise anything
            raise InputError(f"data {name.source!r} cannot be loaded: {said(error)}") from error


@contextlib.contextmanager
def _fresh_modules(path: str) -> Iterator[None]:
    """Have the user's own modules imported anew, so that an edited file counts also in a notebook.

    Modules that were imported before are put back afterwards: their classes stay those that the user's objects have.
    """
    before = {} if path.startswith("__main__:") else _own_modules(path)
    for module in before:
        del sys.modules[module]
    try:
        yield
    finally:
        sys.modules.update(before)


def _own_modules(path: str) -> Mapping[str, Any]:
    """The imported modules among the files that an import path depends on."""
    files = {file for file in own_files(path) if not is_installed(Path(file))}
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name != "__main__" and getattr(module, "__file__", None) in files
    }
