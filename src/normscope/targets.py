"""A user's classes and functions, named as ``package.module:attribute``, and the files they depend on."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from normscope.errors import InputError, UnknownNameError, said

_FILE = re.compile(r"(?P<file>[^():]+)\.py:(?P<rest>.*)", re.DOTALL)


def dotted(text: str, kind: str) -> str:
    """A text that names a file, ``folder/file.py:attribute``, as the import path ``folder.file:attribute``.

    Any other text is returned as it is. What follows the colon is not looked at.

    Args:
        text: what the user wrote.
        kind: what the object is used as, for error messages.

    Raises:
        InputError: the file is not below the working directory, or its path is none that Python can import.
    """
    found = _FILE.fullmatch(text.strip())
    if found is None:
        return text
    path = os.path.relpath(os.path.expanduser(found["file"]))
    parts = path.split(os.sep)
    if not all(part.isidentifier() for part in parts):
        raise InputError(
            f"{kind} {text!r}: name a file in the working directory or below it, whose folders and name "
            "Python can import (letters, digits and _)."
        )
    return f"{'.'.join(parts)}:{found['rest']}"


def imported(path: str, kind: str) -> Any:
    """The object at an import path.

    Args:
        path: ``"package.module:attribute"``; the attribute may be dotted.
        kind: what the object is used as, for error messages, such as ``"norm"`` or ``"network"``.

    Raises:
        InputError: the module cannot be imported, whatever it raises.
        UnknownNameError: the module has no such attribute.
    """
    module_name, _, attribute = path.partition(":")
    importlib.invalidate_caches()  # the module may have been written since this process started
    try:
        target: Any = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's module may raise anything
        raise InputError(
            f"{kind} {path!r}: module {module_name!r} cannot be imported ({said(error)})."
        ) from error
    for part in attribute.split("."):
        if not hasattr(target, part):
            public = [name for name in dir(target) if not name.startswith("_")]
            place = getattr(target, "__file__", None)
            raise UnknownNameError(
                f"attribute of {module_name}" + (f" ({place}):" if place else ":"), part, public
            )
        target = getattr(target, part)
    return target


def own_files(path: str) -> tuple[str, ...]:
    """The files that the code at an import path depends on: its module's file and the user's own files it imports.

    All import statements in these files are followed, within the folder from which the module is imported. Installed
    packages are not followed. A module without a file has no files.

    Raises:
        InputError: the module is not found, or a file cannot be read.
    """
    name = path.partition(":")[0]
    try:
        spec = importlib.util.find_spec(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # finding a.b imports a
        raise InputError(f"{path!r}: module {name!r} cannot be imported ({said(error)}).") from error
    if spec is None:
        raise InputError(f"{path!r}: module {name!r} cannot be imported (there is none here).")
    if spec.origin is None or not os.path.exists(spec.origin):
        return ()
    origin = Path(spec.origin).absolute()
    root = origin.parents[len(name.split(".")) - (origin.name != "__init__.py")]
    if is_installed(origin):
        return (str(origin),)
    found = {origin, *_files_of(name, root)}
    waiting = list(found)
    while waiting:
        for file in _imports(waiting.pop(), root):
            if file not in found:
                found.add(file)
                waiting.append(file)
    return tuple(sorted(map(str, found)))


def is_installed(file: Path) -> bool:
    """Whether a file belongs to an installed package or to Python, rather than to the user."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(file.is_relative_to(folder) for folder in folders)


def _imports(file: Path, root: Path) -> Iterator[Path]:
    """The files under ``root`` that a file's import statements may run, including packages' ``__init__``."""
    if file.suffix != ".py":
        return
    for name in _imported_names(str(file), file.stat().st_mtime_ns, str(root)):
        yield from _files_of(name, root)


def _files_of(name: str, root: Path) -> Iterator[Path]:
    """The files under ``root`` that importing a dotted name runs: its packages' and its own file."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for candidate in (place.with_suffix(".py"), place / "__init__.py"):
            if candidate.is_file():
                yield candidate


@functools.lru_cache(maxsize=1024)
def _imported_names(file: str, changed: int, root: str) -> tuple[str, ...]:
    """The absolute dotted names in a file's import statements.

    ``changed``, the time of the last change, makes the cache read an edited file again.
    """
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{file} cannot be read as Python ({error}).") from error
    package = Path(file).relative_to(root).parent.parts
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) + 1 - node.level]] if node.level else []
            base += node.module.split(".") if node.module else []
            names += [".".join([*base, alias.name]) for alias in node.names]
    return tuple(names)


@contextlib.contextmanager
def place_kept() -> Iterator[None]:
    """Restore the working directory and the standard streams after a user's code, which may go elsewhere."""
    with (
        contextlib.chdir("."),
        contextlib.redirect_stdout(sys.stdout),
        contextlib.redirect_stderr(sys.stderr),
    ):
        yield
