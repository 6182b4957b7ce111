import itertools

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from normscope import data
from normscope.data.augmentation import CropAndFlip
from normscope.data.batches import Split, seeded_epochs, standardize
from normscope.errors import InputError


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int) -> torch.Tensor:
    """Pixels from 1 to 255, so that the border alone is black."""
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=seeded(0))


def windows(image: torch.Tensor, border: int) -> dict[bytes, tuple[int, int, bool]]:
    """Every window of the bordered image, mirrored or not, by its bytes."""
    channels, height, width = image.shape
    bordered = np.zeros((channels, height + 2 * border, width + 2 * border), np.uint8)
    bordered[:, border : border + height, border : border + width] = image.numpy()
    places = range(2 * border + 1)
    found = {}
    for row, column, mirrored in itertools.product(places, places, (False, True)):
        window = bordered[:, row : row + height, column : column + width]
        found[(window[:, :, ::-1] if mirrored else window).tobytes()] = (row, column, mirrored)
    assert len(found) == 2 * len(places) ** 2, "all windows differ"
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    border=st.integers(0, 3),
    channels=st.integers(1, 3),
    height=st.integers(4, 9),
    width=st.integers(4, 9),
    seed=st.integers(0, 2**31),
)
def test_a_crop_is_a_window_of_the_image_in_a_black_border_mirrored_or_not(
    border, channels, height, width, seed
):
    x = images(5, channels, height, width)
    cropped = CropAndFlip(border)(x, seeded(seed))
    assert (cropped.dtype, cropped.shape) == (x.dtype, x.shape)
    for image, crop in zip(x, cropped, strict=True):
        assert crop.numpy().tobytes() in windows(image, border)


def test_all_places_and_mirrorings_are_equally_likely():
    image = images(1, 1, 8, 8)
    of = windows(image[0], 4)
    counts = np.zeros((9, 9, 2))
    for crop in CropAndFlip()(image.expand(162 * 50, -1, -1, -1), seeded(1)):
        counts[of[crop.numpy().tobytes()]] += 1
    assert scipy.stats.chisquare(counts.ravel()).pvalue > 0.01


def test_place_and_mirroring_are_drawn_for_each_image():
    crops = CropAndFlip()(images(1, 3, 32, 32).expand(100, -1, -1, -1), seeded(0))
    assert len({crop.numpy().tobytes() for crop in crops}) > 60


def test_the_images_themselves_and_the_global_generator_are_left_alone():
    x = images(4, 3, 8, 8)
    before, state = x.clone(), torch.get_rng_state()
    CropAndFlip()(x, seeded(0))
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_generator_alone_decides_the_crops():
    x = images(64, 3, 8, 8)
    one, same, other = (CropAndFlip()(x, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_images_on_another_device_are_cropped_there_with_a_generator_on_the_cpu():
    """Torch's device without memory computes with no tensor of another device, as an accelerator does not."""
    generator, on_cpu = seeded(0), seeded(0)
    crops = CropAndFlip()(images(4, 3, 8, 8).to("meta"), generator)
    assert (crops.device.type, crops.shape) == ("meta", (4, 3, 8, 8))
    CropAndFlip()(images(4, 3, 8, 8), on_cpu)
    assert torch.equal(generator.get_state(), on_cpu.get_state())


@pytest.mark.parametrize("border", [-1, 1.5, "4", True])
def test_a_border_is_a_whole_number_of_pixels(border):
    with pytest.raises(InputError, match="border must be a whole number of pixels, 0 or more, not"):
        CropAndFlip(border)


def test_images_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"\(B, C, H, W\), not \(3, 8, 8\)"):
        CropAndFlip()(images(3, 8, 8), seeded(0))


def test_no_images_are_no_crops():
    assert CropAndFlip()(images(0, 3, 8, 8), seeded(0)).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("seed", [None, 1.0, "a", 2**64, -(2**63) - 1], ids=str)
def test_a_seed_that_no_generator_takes_is_refused(split, seed):
    with pytest.raises(InputError, match="seed must be a whole number of 64 bits"):
        batches(split, seed)


def test_numpys_whole_numbers_are_seeds(split):
    for one, other in zip(batches(split, np.int64(3)), batches(split, 3), strict=True):
        assert torch.equal(one[0], other[0])


@pytest.mark.parametrize("size", [1.0, None, "a"], ids=str)
def test_a_batch_size_that_is_none_is_refused(split, size):
    with pytest.raises(InputError, match="batch must be between 1"):
        next(seeded_epochs(split, 1, size, 0))


@pytest.fixture(scope="module")
def split():
    return Split.of(data.load("mnist5k"), "train", size=32, channels=3).first(300)


def batches(split, seed=5, **words):
    """The batches of two epochs, one after another."""
    return [batch for epoch in seeded_epochs(split, 2, 64, seed, **words) for batch in epoch]


def test_the_order_of_the_batches_is_the_same_with_and_without_augmentation(split):
    plain, changed = batches(split), batches(split, augmentation=CropAndFlip())
    assert all(torch.equal(y, same) for (_, y), (_, same) in zip(plain, changed, strict=True))
    assert not any(torch.equal(x, other) for (x, _), (other, _) in zip(plain, changed, strict=True))


def test_augmented_batches_are_those_of_the_seed(split):
    runs = [batches(split, seed, augmentation=CropAndFlip()) for seed in (5, 5, 6)]
    assert all(torch.equal(x, y) for (x, _), (y, _) in zip(runs[0], runs[1], strict=True))
    assert not any(torch.equal(x, y) for (x, _), (y, _) in zip(runs[0], runs[2], strict=True))


def test_an_epoch_that_is_not_read_to_its_end_does_not_change_the_next(split):
    whole = batches(split, augmentation=CropAndFlip())
    first, second = seeded_epochs(split, 2, 64, 5, CropAndFlip())
    next(first)
    assert all(torch.equal(x, y) for (x, _), (y, _) in zip(second, whole[len(whole) // 2 :], strict=True))


@pytest.mark.parametrize("seed", [0, 7])
def test_the_crops_share_no_numbers_with_the_order_of_this_or_another_epoch(seed):
    """Torch's CPU generator reads the lowest 32 bits of a seed: 2³² more is the same generator."""
    drawn = [torch.randperm(1000, generator=seeded(seed)).tolist()]

    class Recorder(CropAndFlip):
        def __call__(self, images, generator):
            drawn.append(torch.randperm(1000, generator=generator).tolist())
            return images

    x = Split(torch.zeros(8, 1, 4, 4, dtype=torch.uint8), torch.zeros(8), (0.5,), (0.5,))
    for epoch in seeded_epochs(x, 3, 4, seed, Recorder()):
        list(epoch)
    assert len({tuple(order) for order in drawn}) == len(drawn) == 7


def test_augmented_images_are_padded_then_cropped_then_standardized_then_repeated(split):
    indices = torch.arange(7)
    x, y = split.augmented(indices, CropAndFlip(2), seeded(9))
    squares = torch.nn.functional.pad(split.images[indices], (2, 2, 2, 2))
    expected = standardize(CropAndFlip(2)(squares, seeded(9)), split.mean, split.std)
    assert torch.equal(x, expected.expand(-1, 3, -1, -1))
    assert torch.equal(y, split.labels[indices])


def test_a_corner_that_a_crop_brings_in_is_black(split):
    x, _ = split.augmented(torch.arange(50), CropAndFlip(8), seeded(0))
    assert x.min().item() == pytest.approx((0 - 0.1307) / 0.3081, rel=1e-6)


def test_only_8_bit_images_are_augmented():
    floats = Split(torch.zeros(8, 1, 4, 4), torch.zeros(8), (), ())
    with pytest.raises(InputError, match=r"only 8-bit images can be cropped .*, not inputs of torch.float32"):
        next(next(seeded_epochs(floats, 1, 4, 0, CropAndFlip())))
