"""What is kept of a user's data."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from normscope.data.contents import Contents
from normscope.data.preparing import moments, prepare
from normscope.errors import DataError, InputError, NormscopeWarning

RNG = np.random.default_rng(3)
LABELS = np.array([0, 1, 2, 1])


def contents(x, y=LABELS, x2=None, y2=None, **words):
    return Contents((x, y), (x if x2 is None else x2, y if y2 is None else y2), **words)


def of_shape(*shape, dtype=float):
    return (RNG.normal(3, 50, (4, *shape)) + np.arange(4).reshape(4, *([1] * len(shape)))).astype(dtype)


@pytest.mark.parametrize("shape", [(), (5,), (3, 6), (3, 4, 5), (2, 3, 2, 2)], ids=str)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_standardized_by_the_training_splits_channels(shape, dtype):
    x, x2 = of_shape(*shape, dtype=dtype), of_shape(*shape, dtype=dtype) * 2 + 1
    ready = prepare(contents(x, x2=x2), "my:load")
    wide, axes = x.astype(np.float64), (0, *range(2, x.ndim))
    mean, std = wide.mean(axes, keepdims=True), wide.std(axes, keepdims=True)
    for found, given_ in ((ready.arrays["train_images"], x), (ready.arrays["test_images"], x2)):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, (given_.astype(np.float64) - mean) / std, rtol=1e-5, atol=1e-6)
    assert ready.mean == pytest.approx(mean.ravel().tolist())
    assert ready.facts.standardized
    assert ready.facts.shape == shape


def test_a_loader_can_say_that_floats_stay_as_they_are():
    x = of_shape(3, dtype=np.float32)
    ready = prepare(contents(x, standardize=False), "my:load")
    np.testing.assert_array_equal(ready.arrays["train_images"], x)
    assert (ready.mean, ready.facts.standardized) == ((), False)
    assert "not standardized" in ready.facts.describe()


def test_pixels_stay_bytes_and_their_moments_count_from_0_to_1():
    x = RNG.integers(0, 256, (4, 3, 6, 5), dtype=np.uint8)
    ready = prepare(contents(x), "my:load")
    assert ready.arrays["train_images"].dtype == np.uint8
    assert ready.mean == pytest.approx((x / 255).mean((0, 2, 3)).tolist())
    assert ready.std == pytest.approx((x / 255).std((0, 2, 3)).tolist())


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_whole_numbers_are_tokens_and_never_standardized(dtype):
    x = RNG.integers(0, 30, (4, 7)).astype(dtype)
    ready = prepare(contents(x), "my:load")
    np.testing.assert_array_equal(ready.arrays["train_images"], x)
    assert ready.arrays["train_images"].dtype == np.int64
    assert ready.facts.vocabulary == x.max() + 1
    assert (ready.facts.kind, ready.mean) == ("tokens", ())


def test_a_constant_channel_becomes_zero_and_what_is_not_finite_stays_and_is_counted():
    x = np.full((4, 3), 0.1)
    x[:, 1], x[:, 2] = [1, 2, np.nan, 3], [1, np.inf, 2, 3]
    ready = prepare(contents(x), "my:load")
    found = ready.arrays["train_images"]
    assert found[:, 0].tolist() == [0] * 4
    assert np.isnan(found[2, 1])
    assert found[1, 2] == np.inf
    assert np.isfinite(found).sum() == 10
    assert ready.mean == pytest.approx((0.1, 2, 2))
    assert ready.facts.nonfinite == 4  # two in each split
    assert "4 values not finite" in ready.facts.describe()


@settings(max_examples=40, deadline=None)
@given(
    arrays_of.arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 4)),
        elements=st.floats(-1e6, 1e6) | st.just(np.nan),
    )
)
def test_moments_are_those_of_the_finite_entries(x):
    mean, std = moments(x)
    for channel in range(x.shape[1]):
        finite = x[:, channel][np.isfinite(x[:, channel])]
        if len(np.unique(finite)) < 2:
            assert std[channel] == 1
        else:
            assert mean[channel] == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9)
            assert std[channel] == pytest.approx(finite.std(), rel=1e-6, abs=1e-9)


def test_moments_of_large_arrays_are_taken_piece_by_piece(monkeypatch):
    x = RNG.normal(5, 2, (50, 3, 4))
    monkeypatch.setattr("normscope.data.preparing._CHUNK_ENTRIES", 30)
    mean, std = moments(x)
    assert mean == pytest.approx(x.mean((0, 2)).tolist())
    assert std == pytest.approx(x.std((0, 2)).tolist())


def test_the_classes_are_those_of_both_splits_or_as_many_as_are_stated():
    x = of_shape(2)
    assert prepare(contents(x, y2=np.array([0, 5, 0, 0])), "my:load").facts.classes == 6
    assert prepare(contents(x, classes=9), "my:load").facts.classes == 9
    assert prepare(contents(x, LABELS > 0), "my:load").facts.classes == 2


def test_floats_as_labels_are_a_regression_target_that_is_not_standardized():
    y = np.array([[1.5, 1e3], [-2, 0], [np.nan, 3], [1, 1]])
    ready = prepare(contents(of_shape(2), y), "my:load")
    assert ready.facts.classes is None
    assert (ready.facts.target_shape, ready.facts.outputs) == ((2,), 2)
    np.testing.assert_array_equal(ready.arrays["train_labels"], y.astype(np.float32))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_that_look_as_if_their_channels_were_last_are_taken_as_they_are_with_a_warning(channels):
    with pytest.warns(
        NormscopeWarning, match=rf"taken for 8 channels of 9×{channels}; if their channels are last"
    ):
        ready = prepare(contents(of_shape(8, 9, channels)), "my:load")
    assert len(ready.mean) == 8


@pytest.mark.parametrize("shape", [(3, 9, 3), (8, 9, 2), (8, 4, 3), (8, 9, 9)])
@pytest.mark.filterwarnings("error")
def test_other_floats_are_not_warned_of(shape):
    assert len(prepare(contents(of_shape(*shape)), "my:load").mean) == shape[0]


REFUSED = [
    (contents(of_shape(3), x2=of_shape(4)), "train split has inputs of shape .3,., the validation split of .4,."),
    (contents(of_shape(3), y2=np.zeros((4, 2), int)), "labels of shape"),
    (contents(of_shape(3), x2=of_shape(3, dtype=int)), "inputs are float64, the validation split's int64"),
    (contents(of_shape(3), y2=LABELS + 0.5), "one split's labels are floats"),
    (contents(of_shape(3), LABELS + 0.0, classes=3), "states classes, but its labels are floats"),
    (contents(of_shape(3), LABELS - 1), "train split has the label -1: labels are 0, 1, "),
    (contents(of_shape(3), y2=LABELS - 2), "validation split has the label -2"),
    (contents(of_shape(3), classes=2), "label 2, but 2 classes are stated"),
    (contents(np.arange(-4, 4).reshape(4, 2)), "whole-numbered inputs down to -4: .*return measured numbers as floats"),
    (contents(np.zeros((4, 8, 8, 3), np.uint8)), "channels last"),
    (contents(np.zeros((4, 0))), "hold no numbers"),
    (contents(of_shape(3) * 1e200), "channel 0 of the inputs has the mean .* too large or too small"),
    (contents(np.full((4, 2), 1.7e308) * [[1, 0.9]] * [[1], [1], [0.9], [1]]), "too large or too small"),
    (contents(of_shape(3) * 1e-200), "too large or too small to be standardized"),
    (contents(of_shape(3) * 1e-160), "too large or too small to be standardized"),
    (contents(of_shape(3), np.array([0, 1, 2, 10**6])), "has the label 1000000, which would mean 1,000,001 classes"),
    (contents(of_shape(3), y2=np.array([0, 1, 2, 2**64 - 1], np.uint64)), "has the label 18446744073709551615"),
]  # fmt: skip


@pytest.mark.parametrize(("given_", "sentence"), REFUSED, ids=[sentence[:40] for _, sentence in REFUSED])
def test_splits_that_do_not_fit_are_refused_in_one_sentence(given_, sentence):
    with pytest.raises((InputError, DataError), match=sentence) as caught:
        prepare(given_, "my:load")
    assert "my:load" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_digest_is_of_everything_that_a_run_depends_on_and_not_of_the_name():
    x = of_shape(3)
    base = contents(x)
    digests = {prepare(base, name).facts.digest for name in ("my:load", "my:other")}
    assert len(digests) == 1
    others = [
        contents(x[::-1]), contents(x, LABELS[::-1]), contents(x, y2=LABELS[::-1]), contents(x, classes=4),
        contents(x, standardize=False), contents(x[:, :2]), contents(x.reshape(4, 3, 1)),
        contents(x, LABELS + 0.0),
    ]  # fmt: skip
    digests |= {prepare(other, "my:load").facts.digest for other in others}
    assert len(digests) == 1 + len(others)


def test_images_that_look_alike_once_standardized_have_their_own_digests():
    """Padding is black in the user's units, so the moments count."""
    x = of_shape(1, 4, 4)
    ready = [prepare(contents(one), "my:load") for one in (x, x * 2)]
    np.testing.assert_allclose(*(one.arrays["train_images"] for one in ready), rtol=1e-6)
    assert ready[0].facts.digest != ready[1].facts.digest


def test_facts_come_back_from_json():
    facts = prepare(contents(of_shape(1, 4, 4)), "my:load").facts
    assert type(facts).from_json({**facts.to_json(), "of a later version": 1}) == facts
    assert dataclasses.asdict(facts)["shape"] == (1, 4, 4)
