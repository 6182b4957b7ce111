"""CIFAR-10 from the files of a folder: whole or a subset, raw or gzipped, damaged; small files play the published."""

import gzip
import hashlib

import numpy as np
import pytest

from normscope import data
from normscope.data import catalogue, published
from normscope.data.locations import find
from normscope.errors import DataError

TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]


@pytest.mark.parametrize("compress", [False, True])
def test_images_and_labels_are_those_of_the_records_in_the_files_order(cifar, compress):
    cifar.fill(compress)
    loaded = data.load("cifar10")
    np.testing.assert_array_equal(loaded.train_images, cifar.images(*TRAIN))
    np.testing.assert_array_equal(loaded.test_images, cifar.images("test_batch.bin"))
    assert loaded.train_labels.tolist() == cifar.labels(*TRAIN)
    assert loaded.test_labels.tolist() == cifar.labels("test_batch.bin")
    assert loaded.train_images.dtype == loaded.train_labels.dtype == np.uint8
    assert data.available("cifar10") == (True, f"in {cifar.place}")
    assert data.fetch("cifar10") == cifar.place


@pytest.mark.parametrize("compress", [False, True])
def test_the_published_files_are_official(cifar, compress):
    cifar.fill(compress)
    loaded = data.load("cifar10")
    assert loaded.official is True
    assert published.remark("cifar10", loaded.digest, loaded.official) == ""


@pytest.mark.parametrize("batch", range(6))
def test_one_other_pixel_in_any_file_is_not_official(cifar, batch):
    cifar.fill()
    name = [*TRAIN, "test_batch.bin"][batch]
    body = bytearray(cifar.bodies[name])
    body[-1] ^= 1
    cifar.write(name, bytes(body))
    loaded = data.load("cifar10")
    assert loaded.official is False
    words = published.remark("cifar10", loaded.digest, loaded.official)
    assert words.startswith("the images of cifar10 are not the published ones (content digest ")


def test_arrays_of_another_machine_leave_open_whether_they_are_official(cifar):
    entry = catalogue.CATALOGUE["cifar10"]
    assert find(entry) is None
    official = published.is_official(entry, "f" * 64, entry.train, entry.test)
    assert official is None
    assert "since its files are not here" in published.remark("cifar10", "f" * 64, official)
    assert published.is_official(entry, "f" * 64, entry.train - 1, entry.test) is False


@pytest.mark.parametrize("batches", range(1, 5))
def test_a_subset_may_lack_the_last_training_files_and_is_not_official(cifar, batches):
    names = TRAIN[:batches]
    for name in (*names, "test_batch.bin"):
        cifar.write(name)
    loaded = data.load("cifar10")
    np.testing.assert_array_equal(loaded.train_images, cifar.images(*names))
    assert len(loaded.test_labels) == 6
    assert loaded.official is False


def test_a_subset_may_have_fewer_records_in_any_file(cifar):
    for number, name in enumerate([*TRAIN, "test_batch.bin"]):
        cifar.write(name, cifar.bodies[name][: 3073 * (number % 6 + 1)], compress=number % 2 == 0)
    loaded = data.load("cifar10")
    assert (len(loaded.train_labels), len(loaded.test_labels)) == (15, 6)
    assert loaded.official is False


@pytest.mark.parametrize("missing", ["data_batch_1.bin", "test_batch.bin"])
def test_the_first_training_file_and_the_test_file_are_needed(cifar, missing):
    cifar.fill()
    (cifar.place / missing).unlink()
    with pytest.raises(DataError) as caught:
        data.load("cifar10")
    assert str(caught.value) == (
        f"{cifar.place} holds no {missing} (nor {missing}.gz): a folder of cifar10 holds at least data_batch_1.bin and "
        "test_batch.bin."
    )
    assert data.available("cifar10") == (False, str(caught.value))


@pytest.mark.parametrize("missing", [2, 3, 4])
def test_a_training_file_that_is_missing_in_between_is_named(cifar, missing):
    cifar.fill()
    (cifar.place / f"data_batch_{missing}.bin").unlink()
    with pytest.raises(DataError) as caught:
        data.load("cifar10")
    assert str(caught.value) == (
        f"{cifar.place} holds data_batch_{missing + 1}.bin but no data_batch_{missing}.bin: a subset of cifar10 leaves "
        "out the last files, not one in between."
    )


def test_a_file_that_is_added_later_is_read(cifar):
    cifar.write("data_batch_1.bin")
    cifar.write("test_batch.bin")
    assert len(data.load("cifar10").train_labels) == 6
    cifar.write("data_batch_2.bin")
    assert len(data.load("cifar10").train_labels) == 12


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda body: b"", r"is empty; expected records of 3,073 bytes, a label and an image of 3×32×32\."),
        (
            lambda body: body[:-1],
            "is truncated or no file of cifar10: 3,072 bytes follow its last whole record",
        ),
        (lambda body: body[:3073] + b"\0", "is truncated or no file of cifar10: 1 bytes follow"),
        (lambda body: body + body[:3073], "holds more than the 6 images that were published: a subset has"),
        (lambda body: b"\x0a" + body[1:], "holds the label 10; expected labels from 0 to 9"),
        (lambda body: b"\xff" * len(body), "holds the label 255; expected labels from 0 to 9"),
    ],
)
def test_a_damaged_file_is_named_in_one_sentence(cifar, spoil, says, compress):
    cifar.fill()
    name = "data_batch_3.bin"
    (cifar.place / name).unlink()
    path = cifar.write(name, spoil(cifar.bodies[name]), compress)
    with pytest.raises(DataError, match=says) as caught:
        data.load("cifar10")
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)
    assert path.exists(), "a user's own file is not moved away"


def test_a_gzip_file_is_never_read_in_part(cifar):
    cifar.fill(compress=True)
    path = cifar.place / "test_batch.bin.gz"
    content = path.read_bytes()
    whole = data.digest("cifar10")
    for length in range(1, len(content), 1531):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"test_batch\.bin\.gz ") as caught:
            data.load("cifar10")
        assert "\n" not in str(caught.value)
    for position in range(10, len(content), 1531):
        changed = bytearray(content)
        changed[position] ^= 4
        path.write_bytes(changed)
        with pytest.raises(DataError, match=r"truncated or corrupted gzip file|holds more than"):
            data.load("cifar10")
    path.write_bytes(content)
    assert data.digest("cifar10") == whole


def test_a_small_gzip_file_that_stands_for_much_is_refused_after_one_byte_too_many(cifar, monkeypatch):
    read = []
    unbounded = gzip.GzipFile.read

    def bounded(self, size=-1):
        read.append(size)
        return unbounded(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", bounded)
    cifar.fill()
    (cifar.place / "test_batch.bin").unlink()
    cifar.write("test_batch.bin", bytes(10**7), compress=True)
    with pytest.raises(DataError, match=r"test_batch\.bin\.gz holds more than the 6 images"):
        data.load("cifar10")
    assert max(read) <= 6 * 3073 + 1
    assert min(read) >= 0


def test_a_file_under_the_name_of_another_is_refused(cifar):
    cifar.fill()
    path = cifar.write("data_batch_4.bin", cifar.bodies["test_batch.bin"])
    with pytest.raises(DataError) as caught:
        data.load("cifar10")
    assert str(caught.value) == (
        f"{path} is the test_batch.bin of cifar10: give every file the name that it is published under."
    )


@pytest.mark.needs_data("cifar10")
def test_the_data_here_have_the_form_that_is_published_and_are_official_only_with_its_checksums():
    cifar = data.load("cifar10")
    assert cifar.train_images.shape[1:] == cifar.test_images.shape[1:] == (3, 32, 32)
    assert len(cifar.test_labels) == 10_000
    assert np.bincount(cifar.test_labels).tolist() == [1_000] * 10
    entry = data.CATALOGUE["cifar10"]
    paths = find(entry).paths
    bodies = [gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in paths]
    found = [hashlib.sha256(body).hexdigest() for body in bodies]
    assert cifar.official is (found == [file.sha256 for file in entry.files])
    if len(cifar.train_labels) == entry.train:
        assert np.bincount(cifar.train_labels).tolist() == [5_000] * 10
        # Pixels that were encoded again differ in the third digit.
        tolerance = 5e-5 if cifar.official else 2e-3
        for channel, mean, std in zip(range(3), cifar.mean, cifar.std, strict=True):
            images = (cifar.train_images[i : i + 1000, channel].ravel() for i in range(0, 50_000, 1000))
            share = sum(np.bincount(pixels, minlength=256) for pixels in images) / (50_000 * 32 * 32)
            value = np.arange(256) / 255
            assert share @ value == pytest.approx(mean, abs=tolerance)
            assert np.sqrt(share @ (value - share @ value) ** 2) == pytest.approx(std, abs=tolerance)
