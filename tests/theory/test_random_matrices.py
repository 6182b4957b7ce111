"""The Fuss–Catalan law against Marchenko and Pastur's, its moments, quadrature and sampled spectra."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normscope.errors import InputError
from normscope.theory.random_matrices import ProductLaw

FACTORS = (1, 2, 3, 6, 20)
factors = st.integers(1, 40)


def marchenko_pastur(x):
    return np.sqrt((4 - x) / x) / (2 * np.pi)


NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)


def integral(law, function, upper):
    """The integral of ``function(x) ρ(x)`` up to ``upper``, by Gauss and Legendre's rule.

    ``x = upper (1 − t²)^{M+1}`` takes the singularity at 0 and the root at the edge away.
    """
    t, power = (NODES + 1) / 2, law.factors + 1
    x = upper * (1 - t**2) ** power
    slopes = upper * power * (1 - t**2) ** law.factors * 2 * t
    return np.sum(WEIGHTS / 2 * function(x) * law.density(x) * slopes)


def distance(values, law):
    """Kolmogorov and Smirnov's distance of a sample from the law."""
    below, count = law.cdf(np.sort(values)), len(values)
    return max(np.max(np.arange(1, count + 1) / count - below), np.max(below - np.arange(count) / count))


@pytest.mark.parametrize("x", [1e-200, 1e-10, 0.3, 2.0, 3.9, 4 - 1e-12])
def test_of_one_matrix_it_is_marchenko_and_pasturs_law_up_to_both_ends(x):
    assert ProductLaw(1).density(x) == pytest.approx(marchenko_pastur(x), rel=1e-12)


def test_of_one_matrix_the_distribution_is_known_in_closed_form():
    x = np.linspace(1e-6, 4 - 1e-6, 101)
    expected = (np.sqrt(x * (4 - x)) / 2 + 2 * np.arcsin(np.sqrt(x) / 2)) / np.pi
    np.testing.assert_allclose(ProductLaw(1).cdf(x), expected, rtol=1e-12)


@pytest.mark.parametrize("count", FACTORS)
class TestTheLaw:
    def test_is_a_probability_density(self, count):
        law = ProductLaw(count)
        assert integral(law, lambda x: 1, law.edge) == pytest.approx(1, abs=1e-8)

    def test_has_the_fuss_catalan_numbers_as_moments(self, count):
        law = ProductLaw(count)
        for order in range(4):
            fuss_catalan = math.comb((count + 1) * order, order) / (count * order + 1)
            assert law.moment(order) == pytest.approx(fuss_catalan, rel=1e-14)
            assert integral(law, lambda x, k=order: x**k, law.edge) == pytest.approx(fuss_catalan, rel=1e-8)

    def test_has_the_integral_of_its_density_as_its_distribution(self, count):
        law = ProductLaw(count)
        for share in (1e-3, 0.1, 0.5, 0.9, 0.9999):
            upper = share * law.edge
            assert integral(law, lambda x: 1, upper) == pytest.approx(law.cdf(upper), abs=1e-8)

    def test_blows_up_at_0_with_the_power_that_the_paper_names(self, count):
        x = np.array([1e-120, 1e-119])
        (low, high), (below, above) = ProductLaw(count).density(x), ProductLaw(count).cdf(x)
        decades = 6 / (count + 1)
        assert np.log10(high / low) == pytest.approx(-count / (count + 1), abs=10**-decades)
        assert np.log10(above / below) == pytest.approx(1 / (count + 1), abs=10**-decades)

    def test_falls_to_0_as_a_root_at_its_upper_end(self, count):
        law = ProductLaw(count)
        near, nearer = law.density(law.edge * (1 - np.array([1e-10, 1e-12])))
        assert near / nearer == pytest.approx(10, rel=1e-3)

    def test_is_the_papers_pair_of_equations(self, count):
        law = ProductLaw(count)
        angle = np.linspace(0.01, 0.99, 25) * np.pi / (count + 1)
        sines = [np.sin(k * angle) for k in (1, count, count + 1)]
        x = sines[2] ** (count + 1) / (sines[0] * sines[1] ** count)
        np.testing.assert_allclose(law.square_at(angle), x, rtol=1e-11)
        np.testing.assert_allclose(law.angle_of(x), angle, rtol=1e-9)
        np.testing.assert_allclose(law.density(x), sines[2] * sines[0] / (np.pi * x * sines[1]), rtol=1e-9)
        np.testing.assert_allclose(law.share_above(angle), 1 - law.cdf(x), rtol=1e-8)

    def test_samples_follow_its_distribution(self, count):
        """They are products of beta variables, which share nothing with the angle."""
        law = ProductLaw(count)
        drawn = law.sample(40_000, np.random.default_rng(count))
        assert distance(drawn, law) < 1.6 / math.sqrt(len(drawn))
        assert drawn.min() >= 0
        assert drawn.max() <= law.edge


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_sampled_spectrum_follows_the_law(count):
    generator, size = np.random.default_rng(0), 300
    product = np.eye(size)
    for _ in range(count):
        product = product @ generator.normal(scale=size**-0.5, size=(size, size))
    assert distance(np.linalg.eigvalsh(product @ product.T), ProductLaw(count)) < 0.02


@given(factors, st.floats(1e-250, 1, exclude_max=True))
def test_an_angle_gives_back_its_x_and_quantiles_their_share(count, part):
    law = ProductLaw(count)
    x = part * law.edge
    assert law.square_at(law.angle_of(x)) == pytest.approx(x, rel=1e-6)
    assert law.cdf(law.quantile(part)) == pytest.approx(part, rel=1e-9)


@given(factors, st.floats(0, 1), st.floats(0, 1))
def test_x_falls_as_the_angle_grows_and_shares_rise_with_x(count, one, other):
    law, (low, high) = ProductLaw(count), sorted((one, other))
    assert law.square_at(low * law.widest) >= law.square_at(high * law.widest)
    assert law.cdf(low * law.edge) <= law.cdf(high * law.edge) + 1e-14


def test_outside_the_support_there_is_nothing_and_not_a_number_stays():
    law = ProductLaw(2)
    x = [-1.0, 0.0, law.edge, 7.0, math.nan]
    np.testing.assert_array_equal(law.density(x), [0, math.inf, 0, 0, math.nan])
    np.testing.assert_array_equal(law.cdf(x), [0, 0, 1, 1, math.nan])
    np.testing.assert_array_equal(law.quantile([0, 1, math.nan]), [0, law.edge, math.nan])
    np.testing.assert_array_equal(law.angle_of([0, law.edge, math.nan]), [law.widest, 0, math.nan])
    np.testing.assert_array_equal(law.square_at([0, law.widest]), [law.edge, 0])
    np.testing.assert_array_equal(law.share_above([0, law.widest]), [0, 1])
    assert law.support == (0, 27 / 4)


def test_any_shape_comes_back_and_a_shape_of_samples_is_drawn_by_the_generator_alone():
    law = ProductLaw(3)
    x = np.linspace(0.1, 9, 12).reshape(3, 2, 2)
    for method in (law.density, law.cdf, law.angle_of):
        assert method(x).shape == x.shape
    drawn = law.sample((3, 2), np.random.default_rng(5))
    np.testing.assert_array_equal(drawn, law.sample((3, 2), np.random.default_rng(5)))
    assert drawn.shape == (3, 2)


@pytest.mark.parametrize("count", [10**6 + 1, 10**17, 10**400])
def test_a_law_that_float64_cannot_compute_is_refused(count):
    with pytest.raises(InputError, match="up to 1,000,000 factors"):
        ProductLaw(count)


@pytest.mark.parametrize("method", ["density", "cdf", "angle_of", "quantile", "square_at", "share_above"])
def test_a_number_gives_an_array_and_no_number_is_one_sentence(method):
    call = getattr(ProductLaw(3), method)
    assert isinstance(call(0.3), np.ndarray)
    with pytest.raises(InputError, match="real numbers"):
        call(10**400)


@pytest.mark.parametrize(
    ("count", "generator"),
    [(-1, 0), (1.5, 0), (True, 0), ((2, -1), 0), (None, 0), (3, None), (3, np.random)],
)
def test_what_is_no_count_or_generator_is_refused(count, generator):
    with pytest.raises(InputError, match="must be a"):
        ProductLaw(2).sample(count, np.random.default_rng(0) if generator == 0 else generator)


@pytest.mark.parametrize("count", [np.int8(127), np.int16(32767)])
def test_numpys_whole_numbers_do_not_overflow(count):
    assert ProductLaw(count).edge == ProductLaw(int(count)).edge
    assert ProductLaw(count).widest == ProductLaw(int(count)).widest


def test_a_moment_beyond_the_largest_number_is_infinite():
    assert ProductLaw(50).moment(500) == math.inf


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2", math.nan])
def test_a_number_of_factors_that_is_none_is_refused(wrong):
    with pytest.raises(InputError, match="whole number above 0"):
        ProductLaw(wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda law: law.quantile(1.1), "from 0 to 1"),
        (lambda law: law.angle_of(-1), "from 0 to 6.75"),
        (lambda law: law.square_at(1.1), "from 0 to π/3"),
        (lambda law: law.share_above(-0.1), "from 0 to π/3"),
        (lambda law: law.moment(1.5), "order"),
        (lambda law: law.moment(-1), "order"),
        (lambda law: law.density("a"), "real numbers"),
        (lambda law: law.cdf(1j), "real numbers"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call(ProductLaw(2))
