import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from normscope import data
from normscope.data.augmentation import CropAndFlip
from normscope.data.batches import Split, shuffled_batches, standardize
from normscope.errors import InputError

MEAN, STD = (0.1307, 0.4, 0.5), (0.3081, 0.2, 0.25)


def images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def by_hand(x: torch.Tensor, size: int | None) -> torch.Tensor:
    """Pad, then standardize, in float64 and one step at a time."""
    channels, height, width = x.shape[1:]
    top, left = ((size - height) // 2, (size - width) // 2) if size else (0, 0)
    y = torch.zeros(len(x), channels, size or height, size or width, dtype=torch.float64)
    y[:, :, top : top + height, left : left + width] = x.double() / 255
    for c in range(channels):
        y[:, c] = (y[:, c] - MEAN[c]) / STD[c]
    return y


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [None, 28, 29, 32])
@pytest.mark.parametrize("width", [28, 25])
def test_standardize_agrees_with_float64_step_by_step(channels, size, width):
    x = images(5, channels, 28, width)
    y = standardize(x, MEAN[:channels], STD[:channels], size)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), by_hand(x, size), rtol=1e-6, atol=1e-6)


def test_padding_is_black_like_the_background_and_not_zero():
    y = standardize(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), MEAN[:1], STD[:1], 32)
    assert (y == y[0, 0, 14, 14]).all()
    assert y[0, 0, 0, 0].item() == pytest.approx(-0.1307 / 0.3081, rel=1e-6)


def test_the_images_themselves_are_left_alone():
    x = images(2, 1, 28, 28)
    before = x.clone()
    standardize(x, MEAN[:1], STD[:1])
    assert torch.equal(x, before)


def test_an_image_is_standardized_the_same_in_every_batch():
    x = images(7, 1, 28, 28)
    together = standardize(x, MEAN[:1], STD[:1], 32)
    for i in range(7):
        assert torch.equal(standardize(x[i : i + 1], MEAN[:1], STD[:1], 32)[0], together[i])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((torch.zeros(2, 1, 28, 28), (0.1,), (0.3,)), "must be uint8"),
        ((images(28, 28), (0.1,), (0.3,)), r"\(B, C, H, W\)"),
        ((images(2, 3, 28, 28), (0.1,), (0.3,)), "3 channels"),
        ((images(2, 1, 28, 28), (0.1,), (0.3,), 27), "at least the images' 28×28"),
    ],
)
def test_standardize_refuses(arguments, says):
    with pytest.raises(InputError, match=says):
        standardize(*arguments)


@given(count=st.integers(1, 300), batch=st.integers(1, 300), seed=st.integers(0, 99))
def test_an_epoch_draws_each_image_at_most_once_in_whole_batches(count, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    if batch > count:
        with pytest.raises(InputError, match="between 1 and"):
            shuffled_batches(count, batch, generator)
        return
    batches = list(shuffled_batches(count, batch, generator))
    assert [len(indices) for indices in batches] == [batch] * (count // batch)
    drawn = torch.cat(batches)
    assert len(drawn.unique()) == len(drawn)
    assert 0 <= drawn.min() <= drawn.max() < count


def test_the_order_is_the_generators_and_fresh_each_epoch():
    def two_epochs(seed):
        generator = torch.Generator().manual_seed(seed)
        return [torch.cat(list(shuffled_batches(50, 8, generator))).tolist() for _ in range(2)]

    assert two_epochs(1) == two_epochs(1)
    assert two_epochs(1) != two_epochs(2)
    assert two_epochs(1)[0] != two_epochs(1)[1]


def test_the_order_does_not_depend_on_the_global_generator():
    state = torch.get_rng_state()
    next(shuffled_batches(50, 8, torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist5k")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_batch_is_the_images_and_labels_at_its_indices(digits, part):
    split = Split.of(digits, part, size=32)
    indices = torch.tensor([3, 999, 0, 3])
    x, y = split.batch(indices)
    expected = torch.from_numpy(np.array(getattr(digits, f"{part}_images")))[indices]
    assert torch.equal(x, standardize(expected, digits.mean, digits.std, 32))
    assert y.dtype == torch.int64
    assert y.tolist() == getattr(digits, f"{part}_labels")[indices.numpy()].tolist()


def test_a_split_shares_the_cache_s_memory_without_a_warning(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = Split.of(digits, "train")
    assert split.images.data_ptr() == digits.train_images.ctypes.data
    assert split.first(100).images.data_ptr() == split.images.data_ptr()


def test_a_write_into_a_split_reaches_no_file():
    before = data.digest("mnist5k")
    Split.of(data.load("mnist5k"), "train").images.fill_(7)
    fresh = data.load("mnist5k")
    assert not (fresh.train_images == 7).all()
    data.fetch("mnist5k")  # verifies the files
    assert data.digest("mnist5k") == before


def test_arrays_that_may_not_be_written_are_copied(digits):
    import dataclasses

    frozen = np.array(digits.train_images[:10])
    frozen.flags.writeable = False
    view = frozen.view()
    split = Split.of(
        dataclasses.replace(digits, train_images=view, train_labels=digits.train_labels[:10]), "train"
    )
    assert split.images.data_ptr() != frozen.ctypes.data
    np.testing.assert_array_equal(split.images.numpy(), frozen)


def test_first_keeps_the_first_images(digits):
    split = Split.of(digits, "train").first(10)
    assert len(split) == 10
    assert split.labels.tolist() == list(range(10))
    for n in (0, 4_001):
        with pytest.raises(InputError, match="between 1 and"):
            Split.of(digits, "train").first(n)


def test_a_part_is_train_or_test(digits):
    with pytest.raises(InputError, match="'train' or 'test', not 'valid'"):
        Split.of(digits, "valid")


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_images_of_one_channel_are_repeated_after_they_are_standardized(digits, channels):
    indices = torch.tensor([3, 9])
    x, _ = Split.of(digits, "test", size=32, channels=channels).batch(indices)
    single, _ = Split.of(digits, "test", size=32).batch(indices)
    assert x.shape == (2, channels, 32, 32)
    assert all(torch.equal(x[:, c], single[:, 0]) for c in range(channels))


def small(array: np.ndarray) -> data.DataSet:
    labels = np.zeros(len(array), np.uint8)
    return data.DataSet("small", array, labels, array, labels, (), (), "0" * 64)


def test_images_that_have_the_channels_already_are_left_alone():
    array = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 5), dtype=np.uint8)
    x, _ = Split.of(small(array), "train", channels=3).batch(torch.arange(4))
    np.testing.assert_array_equal(x.numpy(), array / np.float32(255))


@pytest.mark.parametrize(
    ("array", "channels"),
    [
        (np.zeros((4, 3, 5, 5), np.uint8), 1),
        (np.zeros((4, 2, 5, 5), np.uint8), 3),
        (np.zeros((4, 1, 5, 5), np.uint8), 0),
        (np.zeros((4, 1, 5, 5), np.int64), 3),
        (np.zeros((4, 1), np.float32), 3),
    ],
)
def test_only_images_of_one_channel_are_given_more(array, channels):
    with pytest.raises(InputError, match=f"cannot be given {channels} channels: only images of") as caught:
        Split.of(small(array), "train", channels=channels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_batches_of_a_split_on_another_device_are_put_together_there(digits, kind):
    """Torch's device without memory computes with no tensor of another device, as an accelerator does not."""
    import dataclasses

    found = dataclasses.replace(digits, train_images=digits.train_images[:50].astype(kind))
    split = Split.of(found, "train", size=32, channels=3).first(50).to(torch.device("meta"))
    for x, y in (split.batch(torch.arange(8)), next(split.in_order(8))):
        assert x.device == y.device == torch.device("meta")
        assert (x.shape, y.shape) == ((8, 3, 32, 32), (8,))
    if kind is np.uint8:
        augmented, _ = split.augmented(torch.arange(8), CropAndFlip(), torch.Generator())
        assert (augmented.device.type, augmented.shape) == ("meta", (8, 3, 32, 32))


def test_a_split_that_is_on_a_device_already_keeps_its_memory(digits):
    split = Split.of(digits, "train")
    assert split.to(torch.device("cpu")).images.data_ptr() == split.images.data_ptr()
