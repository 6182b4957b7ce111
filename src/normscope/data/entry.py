"""What the catalogue says of a data set."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class OfficialFile:
    """One file of a data set, as its authors publish it: as a ``.gz`` of its own, or in an archive.

    Attributes:
        name: the official name, without ``.gz``.
        size_gz: bytes of the published ``.gz``; 0 for a file of an archive.
        sha256_gz: SHA-256 of the published ``.gz``, which a download must have; empty for a file of an archive.
        sha256: SHA-256 of the uncompressed file, for copies that were unpacked or compressed again; empty where it is
            not known.
        size: bytes of the uncompressed file, of a file of an archive; else 0.
        optional: whether a subset may lack it. Files are left out from the last one on.
    """

    name: str
    size_gz: int = 0
    sha256_gz: str = ""
    sha256: str = ""
    size: int = 0
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Download:
    """One file to download.

    Attributes:
        name: its name, which follows an address of the data set.
        size: its bytes.
        sha256: its SHA-256.
    """

    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
        name: its name for ``load`` and ``--data``.
        title: its name for people.
        shape: shape of one image, (channels, height, width).
        classes: number of classes; labels are 0 … classes − 1.
        train: number of training images.
        test: number of test images.
        source: where it was published.
        licence: its terms of use.
        mean: mean of each channel over the training images, with pixels scaled to 0 … 1.
        std: standard deviation of each channel over the training images, with pixels scaled to 0 … 1.
        reader: import path ``module:function`` of its reader, which is called with the entry, its ``files`` being those
            that are here, and with their paths; it returns the four arrays by name.
        digest: digest of the published images and labels, as by :func:`normscope.data.digest`; empty where it is not
            known, so that only the checksums of the files tell the published ones from others.
        folder: folder of its files in ``NORMSCOPE_DATA``; empty if a package ships the data set.
        package: the package that ships it; empty for a data set of files.
        files: its files, in the order that the reader expects; empty if a package ships the data set.
        archive: the ``.tar.gz`` that has the files, in a folder called ``folder``; None if each is a ``.gz``.
        urls: where the downloads are, tried in turn; an address is followed by a download's name.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: int
    train: int
    test: int
    source: str
    licence: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reader: str
    digest: str
    folder: str = ""
    package: str = ""
    files: tuple[OfficialFile, ...] = ()
    archive: Download | None = None
    urls: tuple[str, ...] = ()

    @property
    def downloads(self) -> tuple[Download, ...]:
        """What is downloaded: the archive, or the ``.gz`` of each file."""
        if self.archive:
            return (self.archive,)
        return tuple(Download(f"{file.name}.gz", file.size_gz, file.sha256_gz) for file in self.files)
