"""The singular values of products of random matrices: the Fuss–Catalan law.

Let ``X = X_1 X_2 … X_M`` be a product of M independent N×N matrices. Their entries are independent, of mean 0 and
variance 1/N. As N grows, the *squared* singular values of X, the eigenvalues of ``X Xᵀ``, follow one law. With an
angle φ,

    x = sin((M+1)φ)^{M+1} / (sin φ · sin(Mφ)^M),        0 < φ < π/(M+1)                        (9)
    ρ(x) = sin((M+1)φ) sin φ / (π x sin(Mφ)),           0 < x < (M+1)^{M+1}/M^M                (5), (10)

Equation numbers are those of Bjorck et al. 2018, Theorem 1 and Appendix D. The paper calls x a singular value, but x
is the square of a singular value. For M = 1 the law is Marchenko and Pastur's, ``ρ(x) = √((4−x)/x)/(2π)``. The law does
not depend on the distribution of the entries (universality). With entries of variance σ²/N, divide the squares by
``σ^{2M}`` first.

The density and its distribution come from one complex number. With ``B = sin((M+1)φ)/sin(Mφ) · e^{iφ}``, which solves
``B = 1 + B^{M+1}/x``, the density is ``Im B/(πx)``, and its integral is elementary:

    F(x) = 1 − ((M+1)φ − M sin((M+1)φ) sin φ/sin(Mφ)) / π.

Sources: Forrester and Liu 2014 for the angle; Penson and Życzkowski 2011 for the moments.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normscope.errors import InputError
from normscope.theory.arguments import real_numbers

_REALS = "a number or an array of real numbers"
"""What values and angles must be."""

Array: TypeAlias = NDArray[np.float64]

_SMALL = 0.1
"""Below this angle, ln(sin u/u) is taken from its series, which has 13 digits there."""

_MOST_FACTORS = 10**6
"""Of more, angles and quantiles lose their digits."""

_MOST_STEPS, _ENOUGH = 50, 1e-9
"""Newton doubles the digits: after a step of 1e-9 none is missing."""


@dataclasses.dataclass(frozen=True)
class ProductLaw:
    """The law of the squared singular values of a product of M square random matrices, as their size grows.

    Every method takes numbers or arrays of any shape and returns an array of that shape; a NaN gives NaN.

    Attributes:
        factors: M, the number of matrices, at least 1.

    Raises:
        InputError: if the number of factors is not a whole number from 1 to a million.

    Example:
        >>> law = ProductLaw(1)
        >>> law.edge
        4.0
        >>> round(float(law.density(2.0)), 6)
        0.159155
    """

    factors: int

    def __post_init__(self) -> None:
        whole = isinstance(self.factors, int | np.integer) and not isinstance(self.factors, bool)
        if not whole or self.factors < 1:
            raise InputError(f"the number of factors must be a whole number above 0, not {self.factors!r}.")
        if self.factors > _MOST_FACTORS:
            raise InputError(
                f"the law is computed for up to {_MOST_FACTORS:,} factors; beyond, float64 has too few digits."
            )
        object.__setattr__(self, "factors", int(self.factors))  # NumPy's whole numbers overflow

    @property
    def edge(self) -> float:
        """The upper end of the support, ``(M+1)^{M+1}/M^M``; for large M it is about e(M + ½)."""
        return (self.factors + 1) * (1 + 1 / self.factors) ** self.factors

    @property
    def support(self) -> tuple[float, float]:
        """The interval outside which the density is 0: 0 and :attr:`edge`."""
        return 0.0, self.edge

    @property
    def widest(self) -> float:
        """The largest angle φ, ``π/(M+1)``, which belongs to x = 0."""
        return math.pi / (self.factors + 1)

    def density(self, x: ArrayLike) -> Array:
        """The density ρ(x) (eq. 5): infinite at 0, where it grows as ``x^{−M/(M+1)}``, and 0 outside the support."""
        at = real_numbers("x", x, _REALS)
        inside = (at > 0) & (at < self.edge)
        rest, angle = self._angles(np.where(inside, at, 1.0))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            inner = self._ratio(rest, angle) * np.sin(angle) / (np.pi * at)
        return np.where(inside, inner, np.where(at == 0, np.inf, np.where(np.isnan(at), np.nan, 0.0)))

    def cdf(self, x: ArrayLike) -> Array:
        """The share F(x) of squared singular values below x: 0 up to 0, and 1 from the edge on.

        Small shares have the full relative precision: near 0, F(x) grows as ``x^{1/(M+1)}``.
        """
        at = real_numbers("x", x, _REALS)
        inside = (at > 0) & (at < self.edge)
        share = self._below(*self._angles(np.where(inside, at, 1.0)))
        return np.where(inside, share, np.where(np.isnan(at), np.nan, np.where(at > 0, 1.0, 0.0)))

    def quantile(self, share: ArrayLike) -> Array:
        """The x below which the given share of squared singular values lies: the inverse of :meth:`cdf`.

        Raises:
            InputError: for a share outside [0, 1].
        """
        wanted = real_numbers("a share", share, _REALS)
        if (wanted < 0).any() or (wanted > 1).any():
            raise InputError("a share must be from 0 to 1.")
        inside = (wanted > 0) & (wanted < 1)
        inner = self._square(*self._angles_below(np.where(inside, wanted, 0.5)))
        ends = np.where(np.isnan(wanted), np.nan, np.where(wanted > 0, self.edge, 0.0))
        return np.where(inside, inner, ends)

    def moment(self, order: int) -> float:
        """The mean of ``x^k``, the Fuss–Catalan number ``binom((M+1)k, k)/(Mk+1)``; infinity where it overflows.

        Raises:
            InputError: if the order k is not a whole number of at least 0.
        """
        if not isinstance(order, int | np.integer) or order < 0:
            raise InputError(f"the order of a moment must be a whole number of at least 0, not {order!r}.")
        k, factors = int(order), int(self.factors)
        try:
            return float(math.comb((factors + 1) * k, k) // (factors * k + 1))
        except OverflowError:
            return math.inf

    def sample(self, count: int | tuple[int, ...], generator: np.random.Generator) -> Array:
        """Independent draws from the law.

        x is the edge times a product of M independent beta variables, of the parameters ``j/(M+1)`` and
        ``(M+1+j)/(M(M+1))`` for j = 1 … M: its moments are the Fuss–Catalan numbers.

        Args:
            count: how many, or a shape.
            generator: draws them.

        Raises:
            InputError: for a count that is none, or what is no generator of NumPy's.
        """
        sizes = count if isinstance(count, tuple) else (count,)
        if not all(
            isinstance(one, int | np.integer) and not isinstance(one, bool) and one >= 0 for one in sizes
        ):
            raise InputError(f"count must be a whole number of at least 0, or a shape, not {count!r}.")
        if not isinstance(generator, np.random.Generator):
            raise InputError(f"generator must be a numpy.random.Generator, not a {type(generator).__name__}.")
        drawn = np.full(count, self.edge)
        for j in range(1, self.factors + 1):
            first = j / (self.factors + 1)
            drawn *= generator.beta(first, (1 + first) / self.factors, size=drawn.shape)
        return drawn

    def square_at(self, angle: ArrayLike) -> Array:
        """The x that belongs to an angle φ in radians (eq. 9); it falls from the edge at 0 to 0 at π/(M+1).

        Raises:
            InputError: for an angle outside [0, π/(M+1)].
        """
        at = real_numbers("an angle", angle, _REALS)
        if (at < 0).any() or (at > self.widest).any():
            raise InputError(f"an angle must be from 0 to π/{self.factors + 1}.")
        return self._square(self.widest - at, at)

    def angle_of(self, x: ArrayLike) -> Array:
        """The angle φ in radians that belongs to x: the inverse of :meth:`square_at`.

        Raises:
            InputError: for an x outside the support.
        """
        at = real_numbers("x", x, _REALS)
        if (at < 0).any() or (at > self.edge).any():
            raise InputError(f"x must be from 0 to {self.edge:g}, the edge of the support.")
        inside = (at > 0) & (at < self.edge)
        _, angle = self._angles(np.where(inside, at, 1.0))
        return np.where(inside, angle, np.where(np.isnan(at), np.nan, np.where(at > 0, 0.0, self.widest)))

    def share_above(self, angle: ArrayLike) -> Array:
        """The share of squared singular values whose angle is below φ, so that they are above ``square_at(φ)``.

        It is ``((M+1)φ − M sin((M+1)φ) sin φ/sin(Mφ))/π``.

        Raises:
            InputError: for an angle outside [0, π/(M+1)].
        """
        at = real_numbers("an angle", angle, _REALS)
        if (at < 0).any() or (at > self.widest).any():
            raise InputError(f"an angle must be from 0 to π/{self.factors + 1}.")
        return self._above(self.widest - at, at)

    # Angles come as pairs (ψ, φ) whose sum is π/(M+1): ψ has all its digits near x = 0, and φ near the edge.

    def _pair(self, place: Array) -> tuple[Array, Array]:
        """ψ and φ at a place v on the real line: ``φ/ψ = e^v``."""
        with np.errstate(over="ignore"):
            return self.widest / (1 + np.exp(place)), self.widest / (1 + np.exp(-place))

    def _sines(self, rest: Array, angle: Array) -> tuple[Array, Array]:
        """``sin(Mφ)`` and ``sin((M+1)φ)``, from that angle of the pair that has its digits."""
        m = self.factors
        whole = (m + 1) * np.minimum(rest, angle)
        return np.where(angle < rest, np.sin(m * angle), np.sin(whole + angle)), np.sin(whole)

    def _ratio(self, rest: Array, angle: Array) -> Array:
        """``|B| = sin((M+1)φ)/sin(Mφ)``."""
        below, above = self._sines(rest, angle)
        with np.errstate(invalid="ignore"):
            return np.where(angle == 0, (self.factors + 1) / self.factors, above / below)

    def _below(self, rest: Array, angle: Array) -> Array:
        """F, as a sum of two terms of one sign."""
        m = self.factors
        return ((m + 1) * rest + m * self._ratio(rest, angle) * np.sin(angle)) / np.pi

    def _above(self, rest: Array, angle: Array) -> Array:
        """``1 − F = ((M+1)φ/π) (1 − sinc((M+1)φ) sinc φ/sinc(Mφ))``, with sinc u = sin u/u."""
        first, middle, whole = self._log_sincs(rest, angle)
        return np.asarray(-(self.factors + 1) * angle * np.expm1(whole + first - middle) / np.pi)

    def _depth(self, rest: Array, angle: Array) -> Array:
        """``ln(edge/x) = ln sinc φ + M ln sinc(Mφ) − (M+1) ln sinc((M+1)φ)``."""
        first, middle, whole = self._log_sincs(rest, angle)
        return first + self.factors * middle - (self.factors + 1) * whole

    def _log_sincs(self, rest: Array, angle: Array) -> tuple[Array, Array, Array]:
        """``ln sinc`` of φ, Mφ and (M+1)φ."""
        m = self.factors
        middle, whole = self._sines(rest, angle)
        first = _log_sinc(angle, np.sin(angle))
        return first, _log_sinc(m * angle, middle), _log_sinc((m + 1) * angle, whole)

    def _square(self, rest: Array, angle: Array) -> Array:
        return np.asarray(self.edge * np.exp(-self._depth(rest, angle)))

    def _slopes(self, rest: Array, angle: Array) -> tuple[Array, Array]:
        """The derivatives in φ of ``ln(edge/x)`` and of ``1 − F``.

        With ``c = cot φ − M cot(Mφ)`` they are ``(c² + (M+1)²) sin φ sin(Mφ)/sin((M+1)φ)`` and
        ``(c² + (M+1)²) sin²φ/π``. Both are positive, which proves that x falls strictly as φ grows.
        """
        m, sine, ratio = self.factors, np.sin(angle), self._ratio(rest, angle)
        # sin φ cot(Mφ) = sin((M+1)φ)/sin(Mφ) − cos φ
        squares = ((m + 1) * np.cos(angle) - m * ratio) ** 2 + ((m + 1) * sine) ** 2
        return squares / (sine * ratio), squares / np.pi

    def _angles(self, x: Array) -> tuple[Array, Array]:
        """ψ and φ of numbers inside the support, by Newton's iteration on ``ln ln(edge/x)``."""
        near = np.log1p((np.maximum(x, self.edge / 2) - self.edge) / self.edge)
        wanted = np.log(np.where(x > self.edge / 2, -near, math.log(self.edge) - np.log(x)))

        def miss(place: Array) -> tuple[Array, Array]:
            rest, angle = self._pair(place)
            depth = self._depth(rest, angle)
            turn = rest * angle / self.widest  # dφ/dv
            return np.log(depth) - wanted, self._slopes(rest, angle)[0] * turn / depth

        return self._pair(_root(miss, x.shape))

    def _angles_below(self, share: Array) -> tuple[Array, Array]:
        """ψ and φ where F is a given share inside (0, 1), by Newton's iteration on ``ln((1 − F)/F)``."""
        wanted = np.log1p(-share) - np.log(share)

        def miss(place: Array) -> tuple[Array, Array]:
            rest, angle = self._pair(place)
            below, above = self._below(rest, angle), self._above(rest, angle)
            turn = rest * angle / self.widest
            slope = self._slopes(rest, angle)[1] * turn / (below * above)
            return np.log(above) - np.log(below) - wanted, slope

        return self._pair(_root(miss, share.shape))


def _root(miss: Callable[[Array], tuple[Array, Array]], shape: tuple[int, ...]) -> Array:
    """Newton's iteration from 0, with ``miss`` giving values and slopes.

    The functions here rise and are concave, so that it converges from below after its first step.
    """
    place = np.zeros(shape)
    for _ in range(_MOST_STEPS):
        value, slope = miss(place)
        step = value / slope
        place = place - step
        if not (np.abs(step) > _ENOUGH * (1 + np.abs(place))).any():
            break
    return place


def _log_sinc(angle: Array, sine: Array) -> Array:
    """``ln(sin u/u)``, from u and its sine."""
    square = angle * angle
    series = -square * (1 / 6 + square * (1 / 180 + square * (1 / 2835 + square / 37800)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(angle < _SMALL, series, np.log(sine / angle))
