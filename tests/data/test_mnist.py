"""The full official files, if NORMSCOPE_DATA has them."""

import gzip
import hashlib

import numpy as np
import pytest

from normscope import data
from normscope.data.locations import find

pytestmark = pytest.mark.needs_data("mnist")


def test_the_full_set_has_the_published_shape_and_class_counts():
    mnist = data.load("mnist")
    assert mnist.train_images.shape == (60_000, 1, 28, 28)
    assert mnist.test_images.shape == (10_000, 1, 28, 28)
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # Counts of each digit, published in torchvision's and many others' descriptions of MNIST.
    assert np.bincount(mnist.train_labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip


def test_mean_and_deviation_are_those_of_the_training_images():
    mnist = data.load("mnist")
    assert mnist.train_images.mean() / 255 == pytest.approx(mnist.mean[0], abs=5e-5)
    assert mnist.train_images.std() / 255 == pytest.approx(mnist.std[0], abs=5e-5)


def test_the_files_have_the_published_checksums_and_the_set_is_official():
    source = find(data.CATALOGUE["mnist"])
    for file, path in zip(data.CATALOGUE["mnist"].files, source.paths, strict=True):
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
        assert hashlib.sha256(content).hexdigest() == file.sha256
    assert data.load("mnist").official
