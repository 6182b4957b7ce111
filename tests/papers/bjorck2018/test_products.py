"""The cell of the matrix products against the definition of a singular value."""

import numpy as np
import pytest

from normscope.papers.bjorck2018.cells.products import ENTRIES, MatrixProduct, _drawn, multiply_matrices
from normscope.protocol import CPU_ONLY

CONFIG = MatrixProduct("gaussian", seed=3, size=12, factors=3)


def values(table, factors):
    frame = table.to_pandas()
    return frame[frame["step"] == factors].sort_values("index")["value"].to_numpy()


@pytest.mark.parametrize("entries", ENTRIES)
def test_squares_are_the_eigenvalues_of_the_product_times_its_transpose(entries):
    table = multiply_matrices(MatrixProduct(entries, 3, 12, 3))
    generator = np.random.default_rng(3)
    config = MatrixProduct(entries, 3, 12, 1)
    product = np.eye(12)
    for factors in (1, 2, 3):
        product = product @ _drawn(config, generator)
        expected = np.linalg.eigvalsh(product @ product.T)[::-1]
        np.testing.assert_allclose(values(table, factors) ** 2, expected, atol=1e-12 * max(expected[0], 1))


def test_gaussian_matrices_are_those_of_numpys_generator():
    first = np.random.default_rng(3).standard_normal((12, 12)) / 12**0.5
    expected = np.sqrt(np.linalg.eigvalsh(first.T @ first)[::-1])
    np.testing.assert_allclose(values(multiply_matrices(CONFIG), 1), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("entries", ENTRIES)
def test_entries_have_mean_0_and_variance_1_over_n(entries):
    matrix = _drawn(MatrixProduct(entries, 0, 500, 1), np.random.default_rng(0))
    assert matrix.shape == (500, 500)
    assert 500 * np.mean(matrix**2) == pytest.approx(1, abs=0.1 if entries == "sparse_1" else 0.03)
    assert np.mean(matrix) * 500**0.5 == pytest.approx(0, abs=0.01)


def test_every_kind_of_entries_is_what_its_name_says():
    drawn = {kind: _drawn(MatrixProduct(kind, 0, 400, 1), np.random.default_rng(0)) for kind in ENTRIES}
    assert set(np.unique(drawn["rademacher"])) == {0.05, -0.05}
    assert np.abs(drawn["uniform"]).max() == pytest.approx(3**0.5 / 20, rel=1e-3)
    for kind, density in {"sparse_10": 0.1, "sparse_1": 0.01}.items():
        assert np.mean(drawn[kind] != 0) == pytest.approx(density, rel=0.1)
    kurtosis = np.mean(drawn["gaussian"] ** 4) / np.mean(drawn["gaussian"] ** 2) ** 2
    assert kurtosis == pytest.approx(3, rel=0.03)


def test_the_same_cell_gives_the_same_bits_and_another_seed_others():
    assert multiply_matrices(CONFIG).equals(multiply_matrices(CONFIG))
    other = multiply_matrices(MatrixProduct("gaussian", 4, 12, 3))
    assert not np.array_equal(values(other, 1), values(multiply_matrices(CONFIG), 1))


def test_a_longer_product_begins_with_the_shorter_ones():
    longer = multiply_matrices(MatrixProduct("gaussian", 3, 12, 4))
    np.testing.assert_array_equal(values(longer, 3), values(multiply_matrices(CONFIG), 3))


def test_it_computes_without_torch_so_that_it_stays_on_the_cpu():
    assert multiply_matrices.cell(CONFIG).devices == CPU_ONLY


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINT = [2.046935, 2.340470, 2.125837]


def test_the_rows_of_this_version_have_not_moved():
    table = multiply_matrices(CONFIG)
    assert multiply_matrices.version == 1
    assert [values(table, factors)[0] for factors in (1, 2, 3)] == pytest.approx(FINGERPRINT, rel=1e-4)
