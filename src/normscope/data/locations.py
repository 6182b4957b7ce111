"""Where the files of a data set are, and where the cache is."""

from __future__ import annotations

import dataclasses
import os
import stat
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from normscope.data.catalogue import Entry
from normscope.errors import DataError, NormscopeWarning


@dataclasses.dataclass(frozen=True)
class Source:
    """The files of a data set on this machine, or the package that ships it.

    Attributes:
        place: the folder, or the package and its version.
        paths: the paths of the files, in the entry's order; empty for a package.
        sentence: where the data come from, for people.
        is_download: whether :mod:`normscope.data.downloads` put the files there.
    """

    place: str
    paths: tuple[Path, ...]
    sentence: str
    is_download: bool = False

    def stamps(self) -> list[str]:
        """A text per file that changes when the file is replaced: its path, size and two time stamps."""
        try:
            found = [(path, path.stat()) for path in self.paths]
        except OSError as error:
            raise DataError(f"cannot read {error.filename} ({error.strerror}): check that file.") from None
        # The change time, too: archives restore old modification times, and many IDX files have the same size.
        return [f"{path}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}" for path, stat in found]


def find(entry: Entry) -> Source | None:
    """The source of a data set on this machine, or None if it must be downloaded.

    It is, in this order, the package that ships the data set, ``$NORMSCOPE_DATA``, or the downloads.

    Raises:
        DataError: if ``NORMSCOPE_DATA`` names no folder or one with only some of the files, or if the package is
            missing.
        OSError: if that folder cannot be read now.
    """
    if entry.package:
        return Source(_version(entry.package), (), f"shipped by {_version(entry.package)}")
    if root := data_root():
        folder = root / entry.folder
        paths = [variant(folder, file.name) for file in entry.files]
        if all(paths):
            return _files(folder, paths, "in")
        if any(paths):
            missing = next(file.name for file, path in zip(entry.files, paths, strict=True) if not path)
            raise DataError(
                f"{folder} holds no {missing} (nor {missing}.gz): "
                f"a folder of {entry.name} holds all {len(entry.files)} files or none."
            )
    for folder in (downloads_folder(cache, entry) for cache in cache_folders()):
        with suppress(OSError):  # a cache that cannot be read now may have a substitute
            paths = [variant(folder, file.name) for file in entry.files]
            if all(paths):
                return _files(folder, paths, "downloaded to", is_download=True)
    return None


def data_root() -> Path | None:
    """The folder that ``NORMSCOPE_DATA`` names, or None if the variable is not set.

    Raises:
        DataError: it names no folder.
        OSError: that cannot be seen now.
    """
    value = os.environ.get("NORMSCOPE_DATA", "")
    if not value:
        return None
    root = Path(os.path.expanduser(value))
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        is_folder = False
    if not is_folder:
        raise DataError(
            f"NORMSCOPE_DATA names {value!r}, which is not a folder: name an existing one, or unset it."
        )
    return root.absolute()


def cache_folders() -> tuple[Path, ...]:
    """The folders that may hold prepared arrays and downloads, first choice first; they need not exist.

    If ``NORMSCOPE_CACHE`` is set, it names the only one. Otherwise they are normscope's folder in the platform's cache
    and, for machines where that cannot be written, a folder in the system's folder for temporary files.
    """
    if value := os.environ.get("NORMSCOPE_CACHE", ""):
        return (Path(os.path.expanduser(value)).absolute(),)
    import pooch

    try:
        default = Path(pooch.os_cache("normscope"))
    except RuntimeError:  # there is no HOME, and no entry for this user
        default = Path("~/.cache/normscope")
    try:
        substitute = Path(tempfile.gettempdir()) / f"normscope-{os.getuid()}"
    except OSError:  # no such folder can be written
        return (default,)
    return (default,) if _belongs_to_another(substitute) else (default, substitute)


def downloads_folder(cache: Path, entry: Entry) -> Path:
    """The folder of a data set's official files in a cache folder; it need not exist yet."""
    return cache / "downloads" / entry.folder


def writable_cache() -> Path:
    """The first cache folder that can be written, created if necessary, with a warning if it is not the first choice.

    Raises:
        DataError: if none can be written.
    """
    reasons: list[str] = []
    for folder in cache_folders():
        if (why := _refusal(folder)) is None:
            if reasons:
                warnings.warn(
                    f"the cache folder {reasons[0]} cannot be written, so {folder} is used: "
                    "let NORMSCOPE_CACHE name a folder that lasts.",
                    NormscopeWarning,
                    stacklevel=2,
                )
            return folder
        reasons.append(f"{folder} ({why})")
    raise DataError(
        f"the cache folder {' or '.join(reasons)} cannot be written: let NORMSCOPE_CACHE name one that can."
    )


@contextmanager
def writing(content: str, folder: Path) -> Iterator[None]:
    """Turn an error of the disk into one sentence that names ``content`` and ``folder``."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write {content} to {folder} ({error.strerror or error}): "
            "make room there or let NORMSCOPE_CACHE name another folder."
        ) from error


def _refusal(folder: Path) -> str | None:
    """The reason why ``folder`` cannot be written, or None if it can; the folder is created."""
    # A group of users may share a cache that NORMSCOPE_CACHE names; the other folders are private.
    mode = 0o777 if os.environ.get("NORMSCOPE_CACHE", "") else 0o700
    if folder.parts[:1] == ("~",):
        return "no home folder is known"
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None if os.access(folder, os.W_OK | os.X_OK) else "permission denied"


def _belongs_to_another(folder: Path) -> bool:
    """Whether another user may have put files into a folder whose name is easy to guess."""
    try:
        return folder.lstat().st_uid != os.getuid() or folder.is_symlink()
    except OSError:
        return False


def variant(folder: Path, name: str) -> Path | None:
    """The file under one of its usual names: some unpackers write ``.idx3-ubyte`` for ``-idx3-ubyte``.

    Raises:
        OSError: it cannot be seen now whether there is one.
    """
    stems = (name, name.replace("-idx", ".idx"))
    candidates = (folder / (stem + suffix) for stem in stems for suffix in ("", ".gz"))
    return next((path for path in candidates if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _files(folder: Path, paths: Iterable[Path | None], where: str, *, is_download: bool = False) -> Source:
    return Source(str(folder), tuple(path for path in paths if path), f"{where} {folder}", is_download)


def _version(package: str) -> str:
    from importlib import metadata

    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        raise DataError(
            f"the package {package}, which ships this data set, is missing: install it."
        ) from None
