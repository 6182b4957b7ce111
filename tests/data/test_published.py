"""Files of one data set in another's folder, and files that nobody has published; small ones play the published."""

import dataclasses
import gzip
import hashlib
from types import MappingProxyType

import numpy as np
import pytest

from normscope import data
from normscope.data import catalogue, published
from normscope.errors import DataError


def checksum(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@pytest.fixture
def fashion(folder, cache, monkeypatch):
    """The bytes of a small data set of which the catalogue says that they are Fashion-MNIST's, by file name."""
    folder.fill(seed=5)
    bodies = {path.name: path.read_bytes() for path in folder.mnist.iterdir()}
    entry = data.CATALOGUE["fashion-mnist"]
    files = tuple(
        dataclasses.replace(
            file,
            sha256=checksum(bodies[file.name]),
            sha256_gz=checksum(gzip.compress(bodies[file.name], mtime=0)),
        )
        for file in entry.files
    )
    publish(monkeypatch, dataclasses.replace(entry, files=files))
    folder.fill(seed=6)
    return bodies


def publish(monkeypatch, entry):
    """Put an entry into the catalogue in place of the one of its name."""
    entries = MappingProxyType(dict(catalogue.CATALOGUE) | {entry.name: entry})
    monkeypatch.setattr(catalogue, "CATALOGUE", entries)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", [file.name for file in data.CATALOGUE["fashion-mnist"].files])
def test_one_file_of_fashion_mnist_under_mnist_is_named_for_what_it_is(folder, fashion, name, compress):
    (folder.mnist / name).unlink()
    path = folder.write(name, fashion[name], compress)
    with pytest.raises(DataError) as caught:
        data.load("mnist")
    assert str(caught.value) == (
        f"{path} is the {name} of fashion-mnist, not of mnist: put the files of fashion-mnist into "
        f"{folder.root / 'fashion-mnist'} and ask for that data set."
    )


def test_a_published_gz_is_recognized_where_the_checksum_of_its_content_is_unknown(
    folder, fashion, monkeypatch
):
    entry = catalogue.CATALOGUE["fashion-mnist"]
    publish(
        monkeypatch,
        dataclasses.replace(entry, files=tuple(dataclasses.replace(f, sha256="") for f in entry.files)),
    )
    name = entry.files[0].name
    (folder.mnist / name).unlink()
    (folder.mnist / f"{name}.gz").write_bytes(gzip.compress(fashion[name], mtime=0))
    with pytest.raises(DataError, match=f"the {name} of fashion-mnist, not of mnist"):
        data.load("mnist")


def test_the_same_files_under_their_own_name_are_loaded(folder, fashion):
    (folder.root / "fashion-mnist").mkdir()
    for name, raw in fashion.items():
        (folder.root / "fashion-mnist" / name).write_bytes(raw)
    assert len(data.load("fashion-mnist").train_labels) == 12


def test_test_images_in_the_place_of_training_images_are_refused(folder, fashion):
    (folder.root / "fashion-mnist").mkdir()
    for name, raw in fashion.items():
        if name.startswith("train"):
            for place in (name, name.replace("train", "t10k")):
                (folder.root / "fashion-mnist" / place).write_bytes(raw)
    with pytest.raises(DataError, match=r"is the train-images-idx3-ubyte of fashion-mnist: give every file"):
        data.load("fashion-mnist")


def test_a_subset_is_used_and_the_remark_says_that_it_is_not_the_published_set(folder, fashion):
    loaded = data.load("mnist")
    assert loaded.official is False
    words = published.remark("mnist", loaded.digest, loaded.official)
    assert words == f"the images of mnist are not the published ones (content digest {loaded.digest[:12]})"


def test_the_published_set_has_no_remark(folder, fashion, monkeypatch):
    digest = data.digest("mnist")
    publish(monkeypatch, dataclasses.replace(data.CATALOGUE["mnist"], digest=digest))
    entry = catalogue.CATALOGUE["mnist"]
    assert published.is_official(entry, digest, 12, 7) is True
    assert published.remark("mnist", digest, official=True) == ""


def test_where_only_gz_files_have_checksums_they_confirm_a_set_and_unpacked_ones_leave_it_open(
    folder, fashion, monkeypatch
):
    entry = catalogue.CATALOGUE["fashion-mnist"]
    files = tuple(dataclasses.replace(file, sha256="") for file in entry.files)
    unknown = dataclasses.replace(entry, files=files, digest="", train=12, test=7)
    place = folder.root / "fashion-mnist"
    place.mkdir()
    for name, raw in fashion.items():
        (place / name).write_bytes(raw)
    assert published.is_official(unknown, "f" * 64, 12, 7) is None
    assert published.is_official(unknown, "f" * 64, 11, 7) is False
    for name, raw in fashion.items():
        (place / name).unlink()
        (place / f"{name}.gz").write_bytes(gzip.compress(raw, mtime=0))
    assert published.is_official(unknown, "f" * 64, 12, 7) is True
    assert "may not be the published ones" in published.remark("kmnist", "f" * 64, None)


@pytest.mark.needs_data("fashion-mnist")
def test_the_full_fashion_mnist_is_what_its_authors_describe():
    fashion = data.load("fashion-mnist")
    assert fashion.official
    assert fashion.train_images.shape == (60_000, 1, 28, 28)
    assert fashion.test_images.shape == (10_000, 1, 28, 28)
    assert np.bincount(fashion.train_labels).tolist() == [6_000] * 10
    assert np.bincount(fashion.test_labels).tolist() == [1_000] * 10
    assert fashion.train_images.mean() / 255 == pytest.approx(fashion.mean[0], abs=5e-5)
    assert fashion.train_images.std() / 255 == pytest.approx(fashion.std[0], abs=5e-5)
