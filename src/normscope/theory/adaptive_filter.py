"""The convolution as an adaptive filter: Wiener solution and natural modes.

The weights w of a convolution (one output channel) are applied to a patch ``x_m`` of the input at each of M output
positions. With a desired response ``d_m`` and the local error ``e_m = d_m − wᵀx_m``, gradient descent on
``½ E[Σ_m e_m²]``, with the mean E over the batch, is

    w(n+1) = w(n) + η E[Σ_m x_m e_m]                                                          (1)
           = w(n) + η M (p − R w(n)),      R = E[x xᵀ],  p = E[x d] over batch and positions    (2), (4)

The *natural modes* are the coordinates of the weights' error in the eigenbasis of R. They are K numbers that shrink or
grow independently. The factor M comes from the sum over positions.

Equation numbers are those of Chai et al. 2020, §3.1, counted through its displayed formulas; the section follows
Haykin, *Adaptive Filter Theory*, 4th edition. All values are real.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normscope.errors import InputError

Array: TypeAlias = NDArray[np.float64]

_ROUNDINGS = 64
"""Allowed deviation of R from symmetry and of p from the range of R, in roundings of the largest entry."""


@dataclasses.dataclass(frozen=True, eq=False)
class NaturalModes:
    """The natural modes of a filter's weights: ``R = Q Λ Qᵀ`` and the number of positions.

    Made by :func:`natural_modes`. The amplitudes of the modes are ``v(n) = Qᵀ(w° − w(n))``.

    Attributes:
        eigenvalues: λ_k, ascending, (K,), in squared units of the input; 0 if below rounding.
        vectors: Q, (K, K); column k belongs to λ_k.
        positions: M, number of output positions of one example.
    """

    eigenvalues: Array
    vectors: Array
    positions: float

    @property
    def stability_bound(self) -> float:
        """The learning rate below which every mode shrinks: ``0 < η < 2/(M λ_max)`` (after eq. 6).

        It is infinite if the input is all zero.
        """
        largest = self.positions * float(self.eigenvalues[-1])
        return 2 / largest if largest else math.inf

    def factors(self, rate: float) -> Array:
        """The factors ``1 − ηMλ_k`` (K,) by which one step at learning rate η multiplies the modes."""
        return 1 - self._shrinkage(rate)

    def amplitudes(self, weight_error: ArrayLike) -> Array:
        """The amplitudes ``v = Qᵀ(w° − w)`` of weight errors ``w° − w`` (..., K), in the same shape."""
        errors = _finite("the weight error", weight_error)
        if errors.ndim < 1 or errors.shape[-1] != len(self.eigenvalues):
            raise InputError(
                f"a weight error has {len(self.eigenvalues)} entries in its last dimension, "
                f"not shape {errors.shape}."
            )
        return np.asarray(errors @ self.vectors)

    def decay(self, amplitudes: ArrayLike, rate: float, steps: ArrayLike) -> Array:
        """The amplitudes after n steps, ``v_k(n) = (1 − ηMλ_k)ⁿ v_k(0)`` (eq. 6).

        Args:
            amplitudes: v(0), (K,).
            rate: η.
            steps: n, whole numbers of at least 0, of any shape.

        Returns:
            (*steps.shape, K).
        """
        counts = np.asarray(steps)
        if not np.issubdtype(counts.dtype, np.integer) or (counts < 0).any():
            raise InputError("steps must be whole numbers of at least 0.")
        start = np.asarray(amplitudes, dtype=np.float64)
        if start.shape != self.eigenvalues.shape:
            raise InputError(f"there are {len(self.eigenvalues)} amplitudes, not shape {start.shape}.")
        with np.errstate(over="ignore"):
            return np.asarray(self.factors(rate) ** counts[..., None] * start)

    def time_constants(self, rate: float) -> Array:
        """The steps in which each mode shrinks by a factor e, ``τ_k = −1/ln|1 − ηMλ_k|`` (after eq. 6), (K,).

        For a slow mode it is about ``1/(ηMλ_k)``. It is 0 if one step removes the mode (ηMλ_k = 1), and infinite if the
        mode keeps its size (λ_k = 0, or ηMλ_k = 2). Beyond the stability bound it is negative: minus the steps in which
        the mode *grows* by a factor e.
        """
        shrinkage = self._shrinkage(rate)
        with np.errstate(divide="ignore"):
            small = np.log1p(-np.minimum(shrinkage, 0.5))
            logarithm = np.where(shrinkage < 0.5, small, np.log(np.abs(1 - shrinkage)))
            return np.where(logarithm == 0, np.inf, -1 / logarithm)

    def excess_loss(self, amplitudes: ArrayLike) -> Array:
        """The loss ``½ E[Σ_m e_m²]`` above its minimum, ``½ M Σ_k λ_k v_k²``, for amplitudes v (..., K).

        Source: Haykin, chapter 4 (the learning curve of steepest descent), with the sum over positions added.
        """
        squares = np.asarray(amplitudes, dtype=np.float64) ** 2
        return np.asarray(0.5 * self.positions * squares @ self.eigenvalues)

    def _shrinkage(self, rate: float) -> Array:
        return _positive("the learning rate", rate) * self.positions * self.eigenvalues


def natural_modes(autocorrelation: ArrayLike, positions: float = 1) -> NaturalModes:
    """The natural modes of gradient descent on a filter's weights.

    With ``R = Q Λ Qᵀ``, ``v(n) = Qᵀ(w° − w(n))`` turns the weight update (eq. 5),
    ``w° − w(n+1) = (I − ηMR)(w° − w(n))``, into ``v_k(n) = (1 − ηMλ_k)ⁿ v_k(0)`` (eq. 6).

    An eigenvalue within ``K·ε·λ_max`` of zero, where ε is the rounding of R's type, counts as zero, as in
    :func:`normscope.probes.spectrum_of`; its mode never changes.

    Args:
        autocorrelation: R = E[x xᵀ], (K, K).
        positions: M, number of output positions of one example; 1 for a linear layer.

    Raises:
        InputError: if R is not square, finite, symmetric and positive semi-definite up to rounding, or M not positive.
    """
    eigenvalues, vectors = _eigenbasis(autocorrelation)
    return NaturalModes(eigenvalues, vectors, _positive("the number of positions", positions))


def wiener_solution(autocorrelation: ArrayLike, cross_correlation: ArrayLike) -> Array:
    """The weights w° at which the mean gradient vanishes, ``R w° = p`` (eq. 3, the Wiener–Hopf equations).

    At these weights the error is orthogonal to the input, ``E[Σ_m x_m e_m] = 0``. If R is singular there are many such
    weights; the result is the shortest, ``w° = R⁺p``, to which gradient descent from 0 converges. Small eigenvalues
    count as zero as in :func:`natural_modes`.

    Args:
        autocorrelation: R = E[x xᵀ], (K, K).
        cross_correlation: p = E[x d], (K,), or (K, O) for O output channels.

    Returns:
        w°, of p's shape.

    Raises:
        InputError: for a bad R, as in :func:`natural_modes`; and if p has another size, is not finite, or lies outside
            the range of R by more than rounding, so that no input with autocorrelation R has it.
    """
    eigenvalues, vectors = _eigenbasis(autocorrelation)
    p = _finite("the cross-correlation", cross_correlation)
    if p.ndim not in (1, 2) or len(p) != len(eigenvalues):
        raise InputError(
            f"the cross-correlation must be ({len(eigenvalues)},) or ({len(eigenvalues)}, O), not {p.shape}."
        )
    inside = eigenvalues > 0
    along = vectors.T @ p
    # E[x_k d]² ≤ λ_k E[d²]: an eigenvalue below rounding may leave its square root in p.
    allowed = math.sqrt(_ROUNDINGS * len(p) * _rounding(autocorrelation)) * float(np.abs(p).max(initial=0.0))
    if np.abs(along[~inside]).max(initial=0.0) > allowed:
        raise InputError(
            "the cross-correlation must lie in the range of the autocorrelation: no weights solve R w = p."
        )
    return np.asarray(vectors[:, inside] @ (along[inside].T / eigenvalues[inside]).T)


def _eigenbasis(autocorrelation: ArrayLike) -> tuple[Array, Array]:
    """The eigenvalues of R, ascending, with 0 for those below rounding; and its eigenvectors."""
    r, rounding = _finite("the autocorrelation", autocorrelation), _rounding(autocorrelation)
    if r.ndim != 2 or r.shape[0] != r.shape[1] or not r.size:
        raise InputError(f"an autocorrelation matrix is square, not of shape {r.shape}.")
    if np.abs(r - r.T).max() > _ROUNDINGS * rounding * np.abs(r).max():
        raise InputError("an autocorrelation matrix is symmetric; this one is not.")
    eigenvalues, vectors = np.linalg.eigh(r)
    floor = len(r) * rounding * float(np.abs(eigenvalues).max())
    if eigenvalues[0] < -floor:
        raise InputError(f"an autocorrelation matrix has no negative eigenvalue, not {eigenvalues[0]:.3g}.")
    return np.where(eigenvalues <= floor, 0.0, eigenvalues), vectors


def _rounding(values: ArrayLike) -> float:
    """The relative rounding of the values' own type."""
    dtype = np.asarray(values).dtype
    return float(np.finfo(dtype if np.issubdtype(dtype, np.floating) else np.float64).eps)


def _finite(name: str, values: ArrayLike) -> Array:
    try:
        if np.iscomplexobj(values):
            raise TypeError
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be an array of real numbers.") from None
    if not np.isfinite(found).all():
        raise InputError(f"{name} holds values that are not finite.")
    return found


def _positive(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} must be a finite number above 0, not {value!r}.")
    return float(value)
