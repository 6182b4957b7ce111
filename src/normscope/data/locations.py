"""Where the files of a data set are, and where what is made of them is kept."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

from normscope.data.catalogue import Entry, OfficialFile
from normscope.errors import DataError, NormscopeWarning


@dataclasses.dataclass(frozen=True)
class Source:
    """The files of a data set as they lie on this machine, or the package that ships it.

    Args:
        place: the folder, or the package and its version.
        paths: of the files, in the entry's order; none for a package.
        sentence: where the data come from, for people.
    """

    place: str
    paths: tuple[Path, ...]
    sentence: str

    def stamps(self) -> list[str]:
        """What changes when a file is replaced: path, size and both time stamps of each."""
        try:
            found = [(path, path.stat()) for path in self.paths]
        except OSError as error:
            raise DataError(f"cannot read {error.filename} ({error.strerror}): check that file.") from None
        # The change time too: archives bring old modification times, and many IDX files have one size.
        return [f"{path}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}" for path, stat in found]


def find(entry: Entry) -> Source | None:
    """Where a data set can be read from without a network, or None when it has to be downloaded.

    In this order: the package that ships it, ``$NORMSCOPE_DATA``, the downloads.

    Raises:
        DataError: ``NORMSCOPE_DATA`` names no folder or one with only some of the files, or the package is
            missing.
    """
    if entry.package:
        return Source(_version(entry.package), (), f"shipped by {_version(entry.package)}")
    if root := data_root():
        folder = root / entry.folder
        paths = [_variant(folder, file) for file in entry.files]
        if all(paths):
            return _files(folder, paths, "in")
        if any(paths):
            missing = next(file.name for file, path in zip(entry.files, paths, strict=True) if not path)
            raise DataError(
                f"{folder} holds no {missing} (nor {missing}.gz): "
                f"a folder of {entry.name} holds all {len(entry.files)} files or none."
            )
    for folder in (downloads_folder(cache, entry) for cache in cache_folders()):
        paths = [_variant(folder, file) for file in entry.files]
        if all(paths):
            return _files(folder, paths, "downloaded to")
    return None


def data_root() -> Path | None:
    """The folder ``NORMSCOPE_DATA`` names, or None when it is not set."""
    value = os.environ.get("NORMSCOPE_DATA", "")
    if not value:
        return None
    root = Path(value).expanduser()
    if not os.path.isdir(root):
        raise DataError(
            f"NORMSCOPE_DATA names {value!r}, which is not a folder: name an existing one, or unset it."
        )
    return root.absolute()


def cache_folders() -> tuple[Path, ...]:
    """Where prepared arrays and downloads may be, first choice first; none of them need exist.

    ``$NORMSCOPE_CACHE`` alone where it is set; else the platform's cache folder of normscope and, for
    machines where that cannot be written, one under the system's folder for temporary files.
    """
    if value := os.environ.get("NORMSCOPE_CACHE", ""):
        return (Path(value).expanduser().absolute(),)
    import pooch

    default = Path(pooch.os_cache("normscope"))
    substitute = Path(tempfile.gettempdir()) / f"normscope-{os.getuid()}"
    return (default,) if _belongs_to_another(substitute) else (default, substitute)


def downloads_folder(cache: Path, entry: Entry) -> Path:
    """Where in a cache folder the official files of a data set are; it need not exist yet."""
    return cache / "downloads" / entry.folder


def writable_cache() -> Path:
    """The first of the cache folders that can be written, created; warns when it is not the first choice.

    Raises:
        DataError: none can be written.
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


def _refusal(folder: Path) -> str | None:
    """Why ``folder`` cannot be written, or None when it can; creates it."""
    # A cache the user names may be a group's; the others are the user's own.
    mode = 0o777 if os.environ.get("NORMSCOPE_CACHE", "") else 0o700
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None if os.access(folder, os.W_OK | os.X_OK) else "permission denied"


def _belongs_to_another(folder: Path) -> bool:
    """Whether somebody else may have put files into a folder whose name everybody can guess."""
    try:
        return folder.lstat().st_uid != os.getuid() or folder.is_symlink()
    except OSError:
        return False


def _variant(folder: Path, file: OfficialFile) -> Path | None:
    """The file under one of the names it goes by: unpackers write ``.idx3-ubyte`` for ``-idx3-ubyte``."""
    stems = (file.name, file.name.replace("-idx", ".idx"))
    candidates = (folder / (stem + suffix) for stem in stems for suffix in ("", ".gz"))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _files(folder: Path, paths: Iterable[Path | None], where: str) -> Source:
    return Source(str(folder), tuple(path for path in paths if path), f"{where} {folder}")


def _version(package: str) -> str:
    from importlib import metadata

    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        raise DataError(
            f"the package {package}, which ships this data set, is missing: install it."
        ) from None
