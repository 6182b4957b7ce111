"""The extreme eigenvalues of an autocorrelation matrix that is never formed.

``R v = E[x_m (x_mᵀ v)]`` is a convolution of the input with v as its only filter, followed by the gradient of that
filter. With one filter, each of the two is one product with the image X. ``V X`` is the response of each tap to every
pixel; shifted and added, these are the response Y of the filter. ``X Yᵀ``, with Y shifted back for each tap, is the
gradient. Source: Lanczos' method as in ARPACK (`scipy`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes.eigenvalues import Spectrum, missing, read, rounding

TOLERANCE = 1e-7
"""Relative residual at which λ_max has converged: its error is of the order of the residual's square."""

RELIABLE = 1e-4
"""Largest residual, relative to λ_min, at which λ_min is believed."""

STEPS = 600
"""Most steps for λ_min, which Lanczos finds slowly or not at all if many small eigenvalues lie close together."""

PATIENCE = 60
"""Steps after which λ_min is given up if `STEPS` cannot be enough."""

MARGIN, CHANCE = 0.1, 1e-9
"""λ_min is believed if the chance that an eigenvalue is smaller by this share of it, or by more, is at most that."""


class PatchProduct:
    """``v ↦ Σ_m x_m (x_mᵀ v)`` for the patches x_m of one group's input.

    Args:
        x: the group's input (B, C, *size), which is copied.
        geometry: the convolution.
    """

    def __init__(self, x: Tensor, geometry: Geometry) -> None:
        if geometry.padding_mode != "zeros":
            x, geometry = geometry.pad(x), geometry.unpadded()
        self.size = tuple(x.shape[2:])
        self.batch, self.channels, self.taps = len(x), x.shape[1], geometry.taps
        self.out = geometry.output_size(self.size)
        self.image = x.reshape(len(x), -1).t().contiguous().view(self.channels, -1)
        self.reads = _reads(geometry, self.size)

    def double(self) -> PatchProduct:
        """The same product in float64."""
        other = object.__new__(PatchProduct)
        other.__dict__.update(self.__dict__, image=self.image.double())
        return other

    def __call__(self, v: Tensor) -> Tensor:
        """``Σ_m x_m (x_mᵀ v)`` for ``v`` (K,)."""
        seen = v.view(self.channels, self.taps).mT @ self.image
        return (self.image @ self._spread(self._gather(seen)).mT).reshape(-1)

    def diagonal(self) -> Tensor:
        """The diagonal of ``Σ_m x_m x_mᵀ`` (K,)."""
        ones = self.image.new_ones(*self.out, self.batch)
        return (self.image.square() @ self._spread(ones).mT).reshape(-1)

    def _gather(self, seen: Tensor) -> Tensor:
        """The response of the filter (*out, B), from the responses of its taps to every pixel."""
        response = seen.new_zeros(*self.out, self.batch)
        for row, (patches, pixels) in zip(
            seen.view(self.taps, *self.size, self.batch), self.reads, strict=True
        ):
            response[patches] += row[pixels]
        return response

    def _spread(self, response: Tensor) -> Tensor:
        """The response for each tap (taps, pixels), at the pixels that the tap reads."""
        rows = response.new_zeros(self.taps, *self.size, self.batch)
        for row, (patches, pixels) in zip(rows, self.reads, strict=True):
            row[pixels] = response[patches]
        return rows.view(self.taps, -1)


def extremes_of(products: Sequence[PatchProduct], patches: int, positions: float) -> Spectrum:
    """The extreme eigenvalues of one layer's group, from its inputs of all calls.

    λ_min is exactly 0 if there are fewer patches than K, or if an entry of the patch is always 0. Otherwise it is
    the value that Lanczos finds, or NaN with the reason in the note if that may be another eigenvalue.
    """
    dim, given = products[0].channels * products[0].taps, products[0].image.dtype
    products = [product.double() for product in products]
    diagonal = torch.stack([product.diagonal() for product in products]).sum(0) / patches
    if not bool(torch.isfinite(diagonal).all()):
        return missing(dim, positions, patches, "the input holds values that are not finite")
    power = float(diagonal.mean())
    device = diagonal.device

    def apply(v: np.ndarray) -> np.ndarray:
        vector = torch.from_numpy(np.ascontiguousarray(v, np.float64).reshape(-1)).to(device)
        total = torch.stack([product(vector) for product in products]).sum(0) / patches
        return total.cpu().numpy()

    if power == 0:
        return read(dim, positions, patches, 0.0, 0.0, power, 0.0)
    if dim < 4:  # too small for Lanczos, and nothing to save
        matrix = torch.from_numpy(np.stack([apply(row) for row in np.eye(dim)])).to(device)
        values = torch.linalg.eigvalsh((matrix + matrix.mT) / 2)
        floor = rounding(dim, float(values[-1]), power, torch.float64, given)
        return read(dim, positions, patches, float(values[0]), float(values[-1]), power, floor)
    operator = LinearOperator((dim, dim), matvec=apply, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(dim)
    try:
        largest = float(eigsh(operator, 1, which="LA", v0=start, tol=TOLERANCE, return_eigenvectors=False)[0])
    except ArpackError:
        return dataclasses.replace(
            missing(dim, positions, patches, "Lanczos did not converge to λ_max"), power=power
        )
    floor = rounding(dim, largest, power, torch.float64, given)
    smallest, why = _smallest(operator, start, patches, float(diagonal.min()), largest, floor)
    found = read(dim, positions, patches, smallest, largest, power, floor)
    return dataclasses.replace(found, note=why or found.note)


def _smallest(
    operator: LinearOperator, start: np.ndarray, patches: int, least: float, largest: float, floor: float
) -> tuple[float, str]:
    """λ_min and an empty reason, or NaN and the reason why it is not known; ``least`` is the least diagonal entry of R.

    A Ritz value bounds λ_min from above, so λ_min is 0 if any Ritz value is below rounding. As many steps as R, or an
    invariant subspace, has dimensions find every eigenvalue. After fewer steps m from a random vector, the smallest
    Ritz value θ is believed if its residual is small and if the chance that ``λ_min < θ − ε λ_max``, which is at most
    ``1.648 √K exp(−√ε (2m − 1))``, is small, too (Kuczyński & Woźniakowski 1992).
    """
    dim = operator.shape[0]
    if patches < dim or least <= floor:
        return 0.0, ""
    basis, diagonal, off_diagonal = np.zeros((min(dim, STEPS), dim)), np.empty(0), np.empty(0)
    vector, rest = start / np.linalg.norm(start), 0.0
    for step in range(len(basis)):
        basis[step] = vector
        image = operator.matvec(vector)
        diagonal = np.append(diagonal, vector @ image)
        image -= diagonal[-1] * vector + rest * basis[step - 1]
        image -= basis[: step + 1].T @ (basis[: step + 1] @ image)  # rounding left parts along the basis
        rest = float(np.linalg.norm(image))
        whole = step + 1 == dim or rest <= floor
        if whole or step + 1 == len(basis) or (step + 1) % 20 == 0:
            values, vectors = eigh_tridiagonal(diagonal, off_diagonal, select="i", select_range=(0, 0))
            value = float(values[0])
            if value <= floor:
                return 0.0, ""
            needed = math.log(1.648 * math.sqrt(dim) / CHANCE) / math.sqrt(MARGIN * value / largest) / 2 + 0.5
            if whole or (step + 1 >= needed and rest * abs(float(vectors[-1, 0])) <= RELIABLE * value):
                return value, ""
            if dim > STEPS < needed and step + 1 >= PATIENCE:  # θ only falls, so ever more steps are needed
                break
        off_diagonal = np.append(off_diagonal, rest)
        vector = image / rest
    return math.nan, "λ_min is not resolved by Lanczos: use extremes=False"


def _reads(geometry: Geometry, size: Sequence[int]) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each tap, the patches in which it reads a pixel of the image, not of the padding, and these pixels."""
    reads: list[tuple[tuple[slice, ...], tuple[slice, ...]]] = [((), ())]
    out = geometry.output_size(size)
    for dim, kernel in enumerate(geometry.kernel):
        stride, before = geometry.stride[dim], geometry.padding[dim][0]
        step = []
        for i in range(kernel):
            offset = geometry.dilation[dim] * i - before
            first = max(0, -(offset // stride))
            last = max(first, min(out[dim], -((offset - size[dim]) // stride)))
            begin = stride * first + offset
            end = begin + stride * (last - first - 1) + 1 if last > first else begin
            step.append((slice(first, last), slice(begin, end, stride)))
        reads = [((*p, a), (*q, b)) for p, q in reads for a, b in step]
    return reads
