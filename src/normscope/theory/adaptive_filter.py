"""The convolution as an adaptive filter: Wiener solution, natural modes, and the NLMS step.

A convolution's weights w (one output channel) meet a patch ``x_m`` of their input at each of M output positions.
With a desired response ``d_m`` and the local error ``e_m = d_m − wᵀx_m``, gradient descent on
``½ E[Σ_m e_m²]`` is, with the mean E taken over the batch,

    w(n+1) = w(n) + η E[Σ_m x_m e_m]                                                          (1)
           = w(n) + η M (p − R w(n)),      R = E[x xᵀ],  p = E[x d] over batch and positions    (2), (4)

The *natural modes* are its coordinates in the eigenbasis of R, in which it falls apart into K numbers that shrink or
grow on their own. The sum over positions is what puts M beside η.

Equation numbers are those of Chai et al. 2020, §3.1 and §4, counted through its displayed formulas; the section
follows Haykin, *Adaptive Filter Theory*, 4th edition. All of it is real-valued.
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
"""How many roundings of its largest entry R may be from symmetric, and p from the range of R."""


@dataclasses.dataclass(frozen=True, eq=False)
class NaturalModes:
    """The modes in which a filter's weights converge: ``R = Q Λ Qᵀ`` and the number of positions.

    Made by :func:`natural_modes`. A mode's amplitude is an entry of ``v(n) = Qᵀ(w° − w(n))``.

    Attributes:
        eigenvalues: λ_k, ascending, (K,); powers of the input, in its unit squared. 0 where below rounding.
        vectors: Q, (K, K): column k belongs to λ_k.
        positions: M, the output positions of one example.
    """

    eigenvalues: Array
    vectors: Array
    positions: float

    @property
    def stability_bound(self) -> float:
        """The learning rate up to which every mode shrinks: ``0 < η < 2/(M λ_max)`` (after eq. 6).

        Infinite for an input that is zero throughout.
        """
        largest = self.positions * float(self.eigenvalues[-1])
        return 2 / largest if largest else math.inf

    def factors(self, rate: float) -> Array:
        """What one step multiplies each mode by, ``1 − ηMλ_k`` (K,), at learning rate η."""
        return 1 - self._shrinkage(rate)

    def amplitudes(self, weight_error: ArrayLike) -> Array:
        """The amplitudes ``v = Qᵀ(w° − w)`` of weight errors ``w° − w`` (..., K); the same shape."""
        errors = _finite("the weight error", weight_error)
        if errors.ndim < 1 or errors.shape[-1] != len(self.eigenvalues):
            raise InputError(
                f"a weight error has {len(self.eigenvalues)} entries in its last dimension, "
                f"not shape {errors.shape}."
            )
        return np.asarray(errors @ self.vectors)

    def decay(self, amplitudes: ArrayLike, rate: float, steps: ArrayLike) -> Array:
        """The amplitudes after so many steps, ``v_k(n) = (1 − ηMλ_k)ⁿ v_k(0)`` (eq. 6).

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
        """The steps in which each mode's size falls by a factor e, ``τ_k = −1/ln|1 − ηMλ_k|`` (after eq. 6), (K,).

        About ``1/(ηMλ_k)`` for a slow mode. 0 for a mode that is gone after one step (ηMλ_k = 1); infinite for one
        that keeps its size (λ_k = 0, or ηMλ_k = 2); beyond the stability bound minus the steps in which the mode
        *grows* by e.
        """
        shrinkage = self._shrinkage(rate)
        with np.errstate(divide="ignore"):
            small = np.log1p(-np.minimum(shrinkage, 0.5))
            logarithm = np.where(shrinkage < 0.5, small, np.log(np.abs(1 - shrinkage)))
            return np.where(logarithm == 0, np.inf, -1 / logarithm)

    def excess_loss(self, amplitudes: ArrayLike) -> Array:
        """How far ``½ E[Σ_m e_m²]`` is above its minimum: ``½ M Σ_k λ_k v_k²`` for amplitudes v (..., K).

        Source: Haykin, chapter 4 (the learning curve of steepest descent), with the sum over positions put in.
        """
        squares = np.asarray(amplitudes, dtype=np.float64) ** 2
        return np.asarray(0.5 * self.positions * squares @ self.eigenvalues)

    def _shrinkage(self, rate: float) -> Array:
        return _positive("the learning rate", rate) * self.positions * self.eigenvalues


def natural_modes(autocorrelation: ArrayLike, positions: float = 1) -> NaturalModes:
    """The natural modes of gradient descent on a filter's weights.

    With ``R = Q Λ Qᵀ``, ``v(n) = Qᵀ(w° − w(n))`` turns the weight update (eq. 5),
    ``w° − w(n+1) = (I − ηMR)(w° − w(n))``, into ``v_k(n) = (1 − ηMλ_k)ⁿ v_k(0)`` (eq. 6).

    An eigenvalue within ``K·ε·λ_max`` of zero, ε the rounding of R's type, counts as zero, as in
    :func:`normscope.probes.spectrum_of`: such a mode never moves.

    Args:
        autocorrelation: R = E[x xᵀ], (K, K).
        positions: M, output positions an example; 1 for a linear layer.

    Raises:
        InputError: R is not square, finite, symmetric and positive semi-definite to rounding, or M not positive.
    """
    eigenvalues, vectors = _eigenbasis(autocorrelation)
    return NaturalModes(eigenvalues, vectors, _positive("the number of positions", positions))


def wiener_solution(autocorrelation: ArrayLike, cross_correlation: ArrayLike) -> Array:
    """The weights w° at which the mean gradient vanishes, ``R w° = p`` (eq. 3, the Wiener–Hopf equations).

    There the error is orthogonal to the input, ``E[Σ_m x_m e_m] = 0``. Where R is singular there are many: this is
    the shortest, ``w° = R⁺p``, which gradient descent from 0 tends to. Eigenvalues count as zero as in
    :func:`natural_modes`.

    Args:
        autocorrelation: R = E[x xᵀ], (K, K).
        cross_correlation: p = E[x d], (K,), or (K, O) for O output channels.

    Returns:
        w°, of p's shape.

    Raises:
        InputError: R as for :func:`natural_modes`; p of another size, not finite, or outside the range of R by more
            than rounding: then p is no cross-correlation of an input whose autocorrelation is R.
    """
    eigenvalues, vectors = _eigenbasis(autocorrelation)
    p = _finite("the cross-correlation", cross_correlation)
    if p.ndim not in (1, 2) or len(p) != len(eigenvalues):
        raise InputError(
            f"the cross-correlation must be ({len(eigenvalues)},) or ({len(eigenvalues)}, O), not {p.shape}."
        )
    inside = eigenvalues > 0
    along = vectors.T @ p
    # E[x_k d]² ≤ λ_k E[d²]: an eigenvalue that rounding hides may leave its root in p.
    allowed = math.sqrt(_ROUNDINGS * len(p) * _rounding(autocorrelation)) * float(np.abs(p).max(initial=0.0))
    if np.abs(along[~inside]).max(initial=0.0) > allowed:
        raise InputError(
            "the cross-correlation must lie in the range of the autocorrelation: no weights solve R w = p."
        )
    return np.asarray(vectors[:, inside] @ (along[inside].T / eigenvalues[inside]).T)


def nlms_step(patch: ArrayLike, error: ArrayLike, rate: float = 1.0, eps: float = 0.0) -> Array:
    """The step of normalized least mean squares for one output, ``Δw = η e x / (ε + ‖x‖²)`` (eq. 7).

    It is the *principle of minimal disturbance*: for η = 1 and ε = 0 the smallest change, in ‖Δw‖, after which the
    same patch gives the desired response, ``(w + Δw)ᵀx = d``; in general the smallest that leaves ``(1 − η) e`` of
    the error ``e = d − wᵀx`` standing (ε = 0). With ε > 0 and η = 1 it minimises ``‖Δw‖² + (e − Δwᵀx)²/ε``, which
    is defined for an all-zero patch too.

    The paper normalizes each channel's block of the patch on its own (eq. 8): call it with the blocks as rows. Each
    block's step then makes up for the whole error *by itself*; together the C of them change the output by C·η·e.

    Args:
        patch: x, (..., K); rows are normalized independently.
        error: e, broadcast against the rows.
        rate: η.
        eps: ε, at least 0, in the input's unit squared.

    Returns:
        Δw, of x's shape.

    Raises:
        InputError: η not positive, ε negative, values that are not finite, or an all-zero patch with ε = 0.
    """
    x, e = _finite("the patch", patch), _finite("the error", error)
    if x.ndim < 1:
        raise InputError("a patch has at least one dimension.")
    if not (math.isfinite(eps) and eps >= 0):
        raise InputError(f"eps must be a finite number of at least 0, not {eps!r}.")
    size, power = _positive("the learning rate", rate), np.square(x).sum(-1) + eps
    if not power.all():
        raise InputError("no step takes the error away from an all-zero patch: give eps above 0.")
    try:
        gain = size * np.broadcast_to(e, power.shape) / power
    except ValueError:
        raise InputError(f"errors of shape {e.shape} do not fit patches of shape {x.shape}.") from None
    return np.asarray(gain[..., None] * x)


def nlms_update(patches: ArrayLike, errors: ArrayLike, rate: float = 1.0, eps: float = 0.0) -> Array:
    """The NLMS step of a convolution, summed over its positions and normalized by channel (eq. 9).

    ``Δw_c = η Σ_m e_m x_{c,m} / (ε + ‖x_{c,m}‖²)``: the sum of M·C problems of minimal disturbance, each solved on
    its own by :func:`nlms_step`.

    Args:
        patches: x_{c,m}, (M, C, k²): positions, channels, entries of a channel's block.
        errors: e_m, (M,).
        rate: η.
        eps: ε, at least 0, in the input's unit squared.

    Returns:
        Δw, (C, k²).

    Raises:
        InputError: another shape, or as for :func:`nlms_step`.
    """
    x, e = np.asarray(patches), np.asarray(errors)
    if x.ndim != 3 or e.shape != x.shape[:1]:
        raise InputError(f"patches must be (M, C, K) and errors (M,), not of shapes {x.shape} and {e.shape}.")
    return np.asarray(nlms_step(x, e[:, None], rate, eps).sum(0))


def _eigenbasis(autocorrelation: ArrayLike) -> tuple[Array, Array]:
    """Eigenvalues, ascending, those below rounding 0, and eigenvectors of a checked R."""
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
    """The relative rounding of the type that the values came in."""
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
