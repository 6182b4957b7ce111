"""Tables of singular values as the cell of the matrix products fills them, from spectra that a test chooses."""

import functools
import math

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.products import multiply_matrices
from normscope.theory.random_matrices import ProductLaw

COUNTS = (1, 2, 3, 4, 5, 6)


@functools.cache
def of_law(count, shift=0.0, power=1.0, size=1000):
    """Singular values, descending, whose squares are the law's quantiles.

    ``shift`` moves the shares, which makes it the distance from the law. ``power`` multiplies the slope of the share
    against the squares near 0.
    """
    shares = (np.arange(size)[::-1] + 0.5) / size
    values = np.sqrt(ProductLaw(count).quantile(np.minimum(shares ** (1 / power) + shift, 1)))
    values.flags.writeable = False  # kept for every test
    return values


def product_rows(spectrum=lambda count, seed: of_law(count), entries="gaussian", counts=COUNTS, seeds=3):
    """``spectrum``: from the number of factors and the seed to the singular values."""
    tables = []
    for seed in range(seeds):
        for count in counts:
            values = np.asarray(spectrum(count, seed))
            run = {"function": multiply_matrices.name, "entries": entries, "seed": seed, "size": len(values)}
            rows = {"measure": "singular_value", "step": count, "index": range(len(values)), "value": values}
            tables.append(pd.DataFrame({**rows, **run}))
    return pd.concat(tables, ignore_index=True)


def wobble(seed, size=0.01):
    """A factor of each seed, of about 1."""
    return math.exp(size * math.cos(2 * seed))
