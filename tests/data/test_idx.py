"""Each fault of a file is refused in one sentence that names the file and what was expected."""

import gzip
import os
import re
import struct

import numpy as np
import pytest

from normscope import data
from normscope.errors import DataError

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def _fresh(cache):
    pass


def refusal(path) -> str:
    """The message with which ``load`` refuses the folder: one sentence that names ``path``."""
    with pytest.raises(DataError) as caught:
        data.load("mnist")
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("dots", [False, True])
@pytest.mark.parametrize("compress", [False, True])
def test_the_arrays_are_what_the_files_hold(folder, compress, dots):
    written = folder.fill(compress=compress, dots=dots)
    loaded = data.load("mnist")
    for name, array in written.items():
        np.testing.assert_array_equal(getattr(loaded, name), array)
        assert getattr(loaded, name).dtype == np.uint8
    assert not loaded.official


def test_the_content_decides_whether_a_file_is_compressed(folder):
    written = folder.fill()
    path = folder.mnist / TRAIN_IMAGES
    path.rename(f"{path}.gz")
    np.testing.assert_array_equal(data.load("mnist").train_images, written["train_images"])


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("raw", "says"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"hello, I am a text file, " * 99, "begins with the bytes 68 65 6c 6c", id="text"),
        pytest.param(bytes([6]) + bytes(3072) * 3, "begins with the bytes 06 00 00 00", id="cifar"),
        pytest.param(struct.pack(">2I", 0x801, 12) + bytes(12), "begins with .* 00 00 08 01", id="labels"),
        pytest.param(struct.pack(">4I", 0xD03, 1, 28, 28) + bytes(784), "00 00 0d 03", id="float type"),
        pytest.param(struct.pack(">2I", 0x803, 12), "truncated within its header", id="half a header"),
        pytest.param(struct.pack(">4I", 0x803, 12, 32, 32) + bytes(12 * 1024), "32×32", id="32×32"),
        pytest.param(struct.pack(">4I", 0x803, 0, 28, 28), "at least one", id="no images"),
        pytest.param(struct.pack(">4I", 0x803, 12, 28, 28) + bytes(5), "truncated: .* 9408 .* 5", id="short"),
        pytest.param(
            struct.pack(">4I", 0x803, 12, 28, 28) + bytes(9409), "more than the 9408 bytes", id="long"
        ),
        pytest.param(
            struct.pack(">4I", 0x803, 2**32 - 1, 28, 28),
            "4294967295 images: 60000 were",
            id="a header that lies",
        ),
    ],
)
def test_a_file_that_is_not_an_image_file_is_refused(folder, raw, says, compress):
    folder.fill(compress=compress)
    path = folder.write(TRAIN_IMAGES, raw, compress)
    if not raw and not compress:
        assert path.stat().st_size == 0
    assert re.search(says, refusal(path))


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.999])
def test_a_truncated_gzip_file_is_refused(folder, keep):
    folder.fill(compress=True)
    path = folder.mnist / f"{TRAIN_IMAGES}.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    assert "truncated or corrupted gzip" in refusal(path)


@pytest.mark.parametrize("position", [5_000, -6])
def test_a_corrupted_gzip_file_is_refused(folder, position):
    folder.fill(compress=True)
    path = folder.mnist / f"{TRAIN_IMAGES}.gz"
    raw = bytearray(path.read_bytes())
    raw[position] ^= 0xFF
    path.write_bytes(raw)
    assert "truncated or corrupted gzip" in refusal(path)


def test_a_gzip_file_of_something_else_is_refused(folder):
    folder.fill(compress=True)
    path = folder.mnist / f"{TRAIN_LABELS}.gz"
    path.write_bytes(gzip.compress(b"a tar archive, say"))
    assert "not an IDX file of labels" in refusal(path)


def test_numbers_of_images_and_labels_that_differ_are_refused(folder):
    folder.fill()
    path = folder.write(TRAIN_LABELS, folder.idx("labels", np.zeros(11, np.uint8)))
    assert "12 images" in refusal(path)
    assert "11 labels" in refusal(folder.mnist / TRAIN_IMAGES)


def test_a_label_that_is_not_a_digit_is_refused(folder):
    folder.fill()
    path = folder.write(TRAIN_LABELS, folder.idx("labels", np.full(12, 10, np.uint8)))
    assert "the label 10; expected labels from 0 to 9" in refusal(path)


def test_a_subset_is_accepted(folder):
    folder.fill(train=1, test=1)
    assert len(data.load("mnist").train_images) == 1


def test_a_folder_with_some_of_the_files_is_refused_by_the_name_of_the_first_missing(folder):
    folder.fill()
    (folder.mnist / "t10k-labels-idx1-ubyte").unlink()
    assert "holds no t10k-labels-idx1-ubyte" in refusal(folder.mnist)
    assert data.available("mnist")[0] is False


def test_an_unreadable_file_is_refused(folder, monkeypatch):
    folder.fill()
    path = folder.mnist / TRAIN_IMAGES
    opened = os.open

    def deny(name, *arguments, **words):
        if str(name) == str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(name, *arguments, **words)

    monkeypatch.setattr(os, "open", deny)
    assert "Permission denied" in refusal(path)
