"""Where the files of a data set are, and where the cache is."""

from __future__ import annotations

import dataclasses
import itertools
import os
import stat
import tempfile
import warnings
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from normscope.data.entry import Entry, OfficialFile
from normscope.errors import DataError, NormscopeWarning


@dataclasses.dataclass(frozen=True)
class Source:
    """The files of a data set on this machine, or the package that ships it.

    Attributes:
        place: the folder, or the package and its version.
        paths: the paths of the files, in the entry's order; empty for a package.
        sentence: where the data come from, for people.
        files: what each path is; all files of the entry, but for optional ones that a subset lacks.
        is_download: whether :mod:`normscope.data.downloads` put the files there.
    """

    place: str
    paths: tuple[Path, ...]
    sentence: str
    files: tuple[OfficialFile, ...] = ()
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
        DataError: if ``NORMSCOPE_DATA`` names no folder or one that lacks a file, or if the package is missing.
        OSError: if that folder cannot be read now.
    """
    if entry.package:
        return Source(_version(entry.package), (), f"shipped by {_version(entry.package)}")
    if root := data_root():
        folder = root / entry.folder
        if found := _found(entry, folder):
            _check_complete(entry, folder, found)
            return Source(str(folder), tuple(found.values()), f"in {folder}", tuple(found))
    for folder in (downloads_folder(cache, entry) for cache in cache_folders()):
        with suppress(OSError):  # a cache that cannot be read now may have a substitute
            found = _found(entry, folder)
            if len(found) == len(entry.files):
                sentence = f"{'unpacked' if entry.archive else 'downloaded'} to {folder}"
                return Source(str(folder), tuple(found.values()), sentence, entry.files, is_download=True)
    return None


def given_archive(entry: Entry) -> Path | None:
    """The archive of a data set in ``$NORMSCOPE_DATA``, which is unpacked like a download; None if there is none.

    Raises:
        DataError: if ``NORMSCOPE_DATA`` names no folder.
        OSError: if it cannot be seen now.
    """
    root = data_root()
    if root is None or entry.archive is None or not _is_file(root / entry.archive.name):
        return None
    return root / entry.archive.name


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


def _found(entry: Entry, folder: Path) -> dict[OfficialFile, Path]:
    """The files of a data set that a folder holds."""
    return {file: path for file in entry.files if (path := variant(folder, file.name))}


def _check_complete(entry: Entry, folder: Path, found: Container[OfficialFile]) -> None:
    """Refuse a folder that lacks a file, unless it is a subset: the last optional files may be left out."""
    needed = [file.name for file in entry.files if not file.optional]
    everything = f"all {len(needed)} files or none"
    if len(needed) < len(entry.files):
        everything = f"at least {' and '.join(needed)}"
    for file in entry.files:
        if not file.optional and file not in found:
            raise DataError(
                f"{folder} holds no {file.name} (nor {file.name}.gz): a folder of {entry.name} holds {everything}."
            )
    for before, file in itertools.pairwise(file for file in entry.files if file.optional):
        if file in found and before not in found:
            raise DataError(
                f"{folder} holds {file.name} but no {before.name}: a subset of {entry.name} leaves out the "
                "last files, not one in between."
            )


def _version(package: str) -> str:
    from importlib import metadata

    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        raise DataError(
            f"the package {package}, which ships this data set, is missing: install it."
        ) from None
