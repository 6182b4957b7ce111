"""A small CIFAR-10 in place of the published one, and archives to damage."""

import dataclasses
import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from normscope import data
from normscope.data import catalogue, loading


class Cifar:
    """A small CIFAR-10 that the catalogue takes for the published one: six records a file.

    Attributes:
        root: the folder that ``NORMSCOPE_DATA`` names, empty at first.
        bodies: the published files' bytes, by name.
        archive: the published archive's bytes.
    """

    EACH = 6
    LENGTH = 3073

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.root = root
        root.mkdir(exist_ok=True)
        self.place = root / "cifar-10-batches-bin"
        rng = np.random.default_rng(0)
        self.bodies = {}
        for file in data.CATALOGUE["cifar10"].files:
            records = rng.integers(0, 256, (self.EACH, self.LENGTH), dtype=np.uint8)
            records[:, 0] %= 10
            self.bodies[file.name] = records.tobytes()
        inner = {f"cifar-10-batches-bin/{name}": body for name, body in self.bodies.items()}
        # As in the published archive: not in order, and with files that nobody needs.
        other = {
            "cifar-10-batches-bin/readme.html": b"<html>",
            "cifar-10-batches-bin/batches.meta.txt": b"cat",
        }
        self.publish(packed(dict(sorted(inner.items(), key=lambda item: item[0][::-1])) | other))

    def publish(self, archive: bytes) -> None:
        """Let the catalogue have the small files, and this archive."""
        self.archive, entry = archive, data.CATALOGUE["cifar10"]
        files = tuple(
            dataclasses.replace(file, size=len(body), sha256=hashlib.sha256(body).hexdigest())
            for file, body in zip(entry.files, self.bodies.values(), strict=True)
        )
        published = dataclasses.replace(
            entry.archive, size=len(archive), sha256=hashlib.sha256(archive).hexdigest()
        )
        entry = dataclasses.replace(
            entry, files=files, archive=published, train=5 * self.EACH, test=self.EACH
        )
        entries = MappingProxyType(dict(catalogue.CATALOGUE) | {"cifar10": entry})
        for module in (catalogue, data, loading):
            self._monkeypatch.setattr(module, "CATALOGUE", entries)

    def write(self, name: str, body: bytes | None = None, compress: bool = False) -> Path:
        """Write a file, the published one by default."""
        self.place.mkdir(exist_ok=True)
        body = self.bodies[name] if body is None else body
        path = self.place / (f"{name}.gz" if compress else name)
        path.write_bytes(gzip.compress(body) if compress else body)
        return path

    def fill(self, compress: bool = False) -> None:
        """Write the published files."""
        for name in self.bodies:
            self.write(name, compress=compress)

    def images(self, *names: str) -> np.ndarray:
        """The images of published files, byte by byte, as the page of the data set describes a record."""
        found = np.zeros((len(names) * self.EACH, 3, 32, 32), np.uint8)
        for n, c, y, x in np.ndindex(found.shape):
            body, start = self.bodies[names[n // self.EACH]], n % self.EACH * self.LENGTH
            found[n, c, y, x] = body[start + 1 + 1024 * c + 32 * y + x]
        return found

    def labels(self, *names: str) -> list[int]:
        """The labels of published files."""
        starts = range(0, self.EACH * self.LENGTH, self.LENGTH)
        return [self.bodies[name][start] for name in names for start in starts]


def packed(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A ``.tar.gz`` of files with these bytes, or of what else a header says."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()
