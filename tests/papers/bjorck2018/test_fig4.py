"""Fig. 4's claims on made-up gradients at the logits, and the share of the variance between images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from output_tables import logit_rows

from normscope.papers.bjorck2018.fig4 import EXPERIMENT, depends_with_bn, independent_of_the_image
from normscope.papers.bjorck2018.readings.outputs import between_images
from normscope.protocol import Scale, Verdict, empty_table

CLASSES = 4
LABELS = np.repeat([0, 1, 2, 3], 6)
"""Six images a class, of which three are above the class's mean and three below."""


def gradients(between):
    """Gradients of which a share ``between`` of the variance off the labels is between images, and −1 at the labels.

    Classes differ by ±a and images by ±b within every class: the share is b²/(a² + b²).
    """

    def of_seed(seed):
        share = between * (1 + 0.02 * np.cos(seed))
        columns = np.where(np.arange(CLASSES) < 2, 1.0, -1.0) * np.sqrt(1 - share)
        values = np.tile(columns, (24, 1))
        values += np.where(np.arange(24) % 2, 1.0, -1.0)[:, None] * np.sqrt(share)
        values[np.arange(24), LABELS] = -1.0
        return values

    return of_seed


def logits(favoured):
    """Logits that put a share of the 24 images into class 1, the others into class 2."""
    values = np.zeros((24, CLASSES))
    values[:, 2] = 1.0
    values[: round(24 * favoured), 1] = 2.0
    return lambda seed: values


def table(none=0.02, batch=0.3, favoured=1.0, seeds=5, **options):
    return logit_rows(
        {"none": gradients(none), "batch": gradients(batch)},
        {"none": logits(favoured), "batch": logits(23 / 24)},
        LABELS,
        seeds,
        **options,
    )


def test_both_claims_hold_on_the_papers_numbers():
    claims = EXPERIMENT.claims(table())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 5)] * 2
    measured = claims[0].measured
    assert measured["share of the gradients' variance between images, unnormalized"] == pytest.approx(
        0.02, rel=0.05
    )
    assert measured["share of the gradients' variance between images, BN"] == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize(("share", "verdict"), [(0.095, "holds"), (0.105, "does not hold")])
def test_the_unnormalized_share_may_be_a_tenth(share, verdict):
    assert independent_of_the_image(table(none=share)).verdict == verdict


@pytest.mark.parametrize(("favoured", "verdict"), [(22 / 24, "holds"), (21 / 24, "does not hold")])
def test_one_class_must_be_favoured_for_nine_of_ten_images(favoured, verdict):
    assert independent_of_the_image(table(favoured=favoured)).verdict == verdict


@pytest.mark.parametrize(("batch", "verdict"), [(0.105, "holds"), (0.095, "does not hold")])
def test_bns_share_must_be_five_times_the_unnormalized(batch, verdict):
    assert depends_with_bn(table(batch=batch)).verdict == verdict


def test_an_unnormalized_share_of_zero_counts_as_met():
    assert depends_with_bn(table(none=0.0, batch=0.001)).verdict is Verdict.HOLDS


def test_the_number_of_seeds_in_which_bn_favours_one_class_is_told():
    assert (
        "BN favours one class for at least 90% of the images in 5 of 5 seeds"
        in depends_with_bn(table()).reason
    )


def test_seeds_scattered_about_the_bound_do_not_decide():
    assert independent_of_the_image(table(none=0.1)).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_without_rows_at_another_depth_or_with_fewer_than_five_seeds(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    assert "this one has 20" in rule(table(depth=20)).reason
    few = rule(table(seeds=4))
    assert (few.verdict, "4 seeds are too few" in few.reason) == (Verdict.NOT_JUDGED, True)
    assert few.measured


@pytest.mark.parametrize("scale", Scale)
def test_every_scale_has_the_seeds_that_the_claims_need(scale):
    assert EXPERIMENT.profile(scale).seeds >= 5


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.01, 100), shift=st.floats(-10, 10), seed=st.integers(0, 1000))
def test_the_share_is_that_of_the_variance_within_classes_whatever_the_scale(scale, shift, seed):
    """Against a loop over entries; labels' gradients do not count, so any numbers may be there."""
    generator = np.random.default_rng(seed)
    values, labels = (
        generator.normal(size=(9, 4)) + 3 * generator.normal(size=4),
        generator.integers(4, size=9),
    )
    off = [(image, number) for image in range(9) for number in range(4) if number != labels[image]]
    all_of = np.array([values[place] for place in off])
    means = {
        number: np.mean([values[place] for place in off if place[1] == number])
        for number in {n for _, n in off}
    }
    within = np.array([values[place] - means[place[1]] for place in off])
    expected = (within**2).mean() / ((all_of - all_of.mean()) ** 2).mean()
    moved = scale * values + shift
    moved[np.arange(9), labels] = 1e9
    assert between_images(moved, labels) == pytest.approx(expected, rel=1e-6)


def test_a_share_of_no_variance_or_of_values_that_are_not_finite_is_none():
    labels = np.array([0, 1])
    assert np.isnan(between_images(np.ones((2, 3)), labels))
    assert np.isnan(between_images(np.array([[0.0, np.inf, 1.0], [1.0, 2.0, 3.0]]), labels))
    assert between_images(np.array([[np.nan, 1.0, 2.0], [1.0, np.nan, 2.0]]), labels) == 0


def test_the_picture_has_the_images_sorted_by_class():
    shuffled = table()
    order = np.random.default_rng(0).permutation(24)
    moved = shuffled.assign(index=shuffled["index"].map(dict(enumerate(order.tolist()))))
    for rows in (shuffled, moved):
        figure = EXPERIMENT.figure(rows)
        picture = figure.axes[0].get_images()[0].get_array()
        assert picture.shape == (24, CLASSES)
        assert (picture[np.arange(24), LABELS] == -1).all()
