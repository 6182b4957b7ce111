"""The cell of the random matrices: singular values of their products, of one factor, two, and so on."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from normscope.protocol import CPU_ONLY, Rows, cell

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

ENTRIES = {
    "gaussian": "Gaussian",
    "uniform": "uniform",
    "rademacher": "±1",
    "sparse_10": "10 % nonzero",
    "sparse_1": "1 % nonzero",
}
"""The distributions of the entries, with their names in figures."""

_DENSITIES = {"sparse_10": 0.1, "sparse_1": 0.01}


@dataclasses.dataclass(frozen=True)
class MatrixProduct:
    """A product of ``factors`` square matrices with ``size`` rows, whose entries are drawn by the seed."""

    entries: str
    seed: int
    size: int
    factors: int


@cell(
    name="bjorck2018.multiply_matrices",
    version=1,
    cost=lambda product: 0.3 * product.factors * (product.size / 1000) ** 3,
    devices=lambda product: CPU_ONLY,
)
def multiply_matrices(config: MatrixProduct) -> pa.Table:
    """The singular values of the products of the first M factors, for M = 1 … ``factors``, in float64.

    The entries are independent, of mean 0 and variance 1/N with N rows; those of a sparse matrix are 0 or Gaussian.

    Rows: ``singular_value`` by M (``step``) and rank (``index``, 0 for the largest).
    """
    import numpy as np

    generator = np.random.default_rng(config.seed)
    rows = Rows()
    product = np.eye(config.size)
    for count in range(1, config.factors + 1):
        product = product @ _drawn(config, generator)
        rows.add_each("singular_value", np.linalg.svd(product, compute_uv=False), step=count)
    return rows.table()


def _drawn(config: MatrixProduct, generator: np.random.Generator) -> NDArray[np.float64]:
    """A matrix with entries of variance 1/N."""
    import numpy as np

    shape = config.size, config.size
    scale = 1 / math.sqrt(config.size)
    if config.entries == "uniform":
        return generator.uniform(-scale * math.sqrt(3), scale * math.sqrt(3), shape)
    if config.entries == "rademacher":
        return np.where(generator.integers(0, 2, shape) > 0, scale, -scale)
    gaussian: NDArray[np.float64] = scale * generator.standard_normal(shape)
    if config.entries == "gaussian":
        return gaussian
    density = _DENSITIES[config.entries]
    return np.where(generator.random(shape) < density, gaussian / math.sqrt(density), 0.0)
