"""Small files instead of MNIST's and CIFAR-10's, and an empty cache for the tests that look into it."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from small_cifar import Cifar

MAGIC = {"images": 0x00000803, "labels": 0x00000801}


class Folder:
    """A ``NORMSCOPE_DATA`` folder whose ``mnist/`` a test fills as it likes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mnist = root / "mnist"
        self.mnist.mkdir(parents=True, exist_ok=True)

    def idx(self, content: str, array: np.ndarray) -> bytes:
        return struct.pack(f">{1 + array.ndim}I", MAGIC[content], *array.shape) + array.tobytes()

    def write(self, name: str, raw: bytes, compress: bool = False) -> Path:
        path = self.mnist / (f"{name}.gz" if compress else name)
        path.write_bytes(gzip.compress(raw) if compress else raw)
        return path

    def fill(self, train: int = 12, test: int = 7, seed: int = 0, compress: bool = False, dots: bool = False):
        """Write the four files, and return the arrays in them."""
        rng = np.random.default_rng(seed)
        arrays = {}
        for split, prefix, count in (("train", "train", train), ("test", "t10k", test)):
            images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels = rng.integers(0, 10, count, dtype=np.uint8)
            mark = "." if dots else "-"
            self.write(f"{prefix}-images{mark}idx3-ubyte", self.idx("images", images), compress)
            self.write(f"{prefix}-labels{mark}idx1-ubyte", self.idx("labels", labels), compress)
            arrays[f"{split}_images"] = images[:, None]
            arrays[f"{split}_labels"] = labels
        return arrays


@pytest.fixture
def cifar(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path / "data"))
    return Cifar(tmp_path / "data", monkeypatch)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path / "data"))
    return Folder(tmp_path / "data")


@pytest.fixture
def other_folder(tmp_path):
    return Folder(tmp_path / "other")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("NORMSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch):
    """No network: every request fails. The fixture lists the requested addresses."""
    import requests

    asked = []

    def refuse(url, **kwargs):
        asked.append(url)
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "get", refuse)
    return asked
