"""One trained layer of a linear network as least-squares problems (Bjorck et al. 2018, Appendix C).

A linear network ``A_t … A_2 A_1 x`` is trained in one layer A, with the loss

    L(A) = ½ ‖Ā A x − y‖²,                                                                     (6)

where Ā is the product of the layers above, x (n, m) holds the layer's inputs, one column an example, and y (o, m) the
targets.
With ``x = U (Σ 0) Vᵀ``, ``ȳ = (y V)_{1:n}`` and the change of variables ``B = A U Σ`` (after eq. 8) the loss is

    L = ½ Σ_j ‖Ā b_j − ȳ_j‖² + C,                                                              (7)

one least-squares problem for each column b_j of B, with C a constant that no weight changes. A step of gradient descent
on A at learning rate η is a step on problem j at rate ``η σ_j(x)²``. In the basis of the singular vectors of Ā each
problem falls apart into modes, each of which shrinks by ``1 − η σ_j(x)² σ_i(Ā)²`` a step. So

- descent is stable for ``0 < η < 2/(σ_max(Ā) σ_max(x))²``;
- at a share of that bound the slowest mode takes a number of steps that grows as the square of the condition number
  ``κ = σ_max(Ā) σ_max(x) / (σ_min(Ā) σ_min(x))``.

The paper writes the loss without the ½, which halves the rates. Its step from eq. 7 to a rate for each column is ours.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normscope.errors import InputError
from normscope.theory.arguments import real_numbers

Array: TypeAlias = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class LeastSquares:
    """The least-squares problems that gradient descent on one layer of a linear network solves.

    Made by :func:`least_squares`.

    Attributes:
        above: Ā, (o, k), the product of the layers above.
        targets: ȳ, (o, n); column j is the target of problem j.
        basis: U, (n, n), the left singular vectors of the inputs.
        scales: σ_j(x), (n,), in units of the input, descending.
        constant: C, the part of the loss that no weight changes.
    """

    above: Array
    targets: Array
    basis: Array
    scales: Array
    constant: float

    def variables(self, weight: ArrayLike) -> Array:
        """``B = A U Σ`` (k, n) of the layer's weights A (k, n)."""
        return np.asarray(self._fitting("weight", weight) @ self.basis * self.scales)

    def weight(self, variables: ArrayLike) -> Array:
        """The layer's weights A (k, n) that B (k, n) belongs to: the inverse of :meth:`variables`."""
        return np.asarray((self._fitting("variables", variables) / self.scales) @ self.basis.T)

    def loss(self, variables: ArrayLike) -> float:
        """``½ Σ_j ‖Ā b_j − ȳ_j‖² + C`` (eq. 7), which is the network's loss (eq. 6)."""
        residual = self.above @ self._fitting("variables", variables) - self.targets
        return 0.5 * float(np.sum(residual**2)) + self.constant

    @property
    def condition(self) -> float:
        """κ, the condition number of Ā times that of the inputs; infinite if Ā has not full rank."""
        _, values, _ = self._decomposed
        smallest = float(values[-1] * self.scales[-1])
        return float(values[0] * self.scales[0]) / smallest if smallest else math.inf

    @property
    def stability_bound(self) -> float:
        """The learning rate below which every mode shrinks, ``2/(σ_max(Ā) σ_max(x))²``; infinite if Ā is 0."""
        _, values, _ = self._decomposed
        largest = float(values[0] * self.scales[0])
        return 2 / largest**2 if largest else math.inf

    def shrinkage(self, rate: float) -> Array:
        """``η σ_j(x)² σ_i(Ā)²``, (modes i, columns j): a step at learning rate η multiplies a mode by 1 minus this."""
        _, values, _ = self._decomposed
        return _positive("the learning rate", rate) * np.outer(values**2, self.scales**2)

    def modes(self, variables: ArrayLike) -> Array:
        """B in the basis of Ā's right singular vectors, ``v_iᵀ b_j``, (modes i, columns j); σ_i(Ā) descends."""
        _, _, right = self._decomposed
        return np.asarray(right @ self._fitting("variables", variables))

    def solution(self) -> Array:
        """The modes at which no step moves them, ``u_iᵀ ȳ_j / σ_i(Ā)``, (modes i, columns j).

        It is infinite or not a number where σ_i(Ā) is 0: no B solves that part.
        """
        left, values, _ = self._decomposed
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((left.T @ self.targets) / values[:, None])

    def after(self, variables: ArrayLike, rate: float, steps: int) -> Array:
        """B after a number of steps of gradient descent at learning rate η, in closed form, (k, n).

        Mode (i, j) is ``c(N) = (1−s)^N c(0) + (1 − (1−s)^N)/s · η σ_j(x)² σ_i(Ā) u_iᵀȳ_j`` with s its
        :meth:`shrinkage`. What Ā does not see of B stays as it is.
        """
        left, values, right = self._decomposed
        start = self._fitting("variables", variables)
        if not isinstance(steps, int | np.integer) or isinstance(steps, bool) or steps < 0:
            raise InputError(f"steps must be a whole number of at least 0, not {steps!r}.")
        shrinkage = self.shrinkage(rate)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            lost = np.where(
                shrinkage < 0.5,
                -np.expm1(steps * np.log1p(-np.minimum(shrinkage, 0.5))),
                1 - (1 - shrinkage) ** steps,
            )
            taken = np.where(shrinkage > 0, lost / shrinkage, steps)
        pull = rate * self.scales**2 * (values[:, None] * (left.T @ self.targets))
        return np.asarray(start + right.T @ (taken * pull - lost * (right @ start)))

    def steps_to_converge(self, rate: float, share: float = 0.01) -> float:
        """The steps in which the slowest mode shrinks to a share of its start, ``ln(share)/ln|1 − s|``.

        It is infinite at and beyond the stability bound, and where a mode never moves.
        """
        shrinkage = self.shrinkage(rate)
        if not isinstance(share, float | int) or not 0 < share < 1:
            raise InputError(f"a share of the start must be between 0 and 1, not {share!r}.")
        slowest = float(np.minimum(shrinkage, 2 - shrinkage).min())
        return math.log(share) / math.log1p(-slowest) if slowest > 0 else math.inf

    def _fitting(self, name: str, values: ArrayLike) -> Array:
        """Values that fit the layer's weights (k, n), of which NaN and infinity are numbers of a descent."""
        found, shape = (
            real_numbers(name, values, "a matrix of real numbers"),
            (self.above.shape[1], len(self.scales)),
        )
        if found.shape != shape:
            raise InputError(f"{name} must have the shape {shape}, not {found.shape}.")
        return found

    @functools.cached_property
    def _decomposed(self) -> tuple[Array, Array, Array]:
        """The thin singular value decomposition of Ā: u_i in columns, σ_i(Ā), v_i in rows."""
        left, values, right = np.linalg.svd(self.above, full_matrices=False)
        return left, values, right


def least_squares(above: ArrayLike, inputs: ArrayLike, targets: ArrayLike) -> LeastSquares:
    """The least-squares problems of a linear network whose layer A is trained (Proposition 1, Appendix C).

    Args:
        above: Ā (o, k), the product of the layers above; the identity for the last layer.
        inputs: x (n, m), the inputs of the layer, one column an example: the data times the layers below.
        targets: y (o, m).

    Raises:
        InputError: for arrays that are no matrices of real, finite numbers or do not fit one another, and for inputs
            that have not full rank or fewer examples than features, which the paper assumes.
    """
    a, x, y = (
        _matrix(name, values)
        for name, values in {"the layers above": above, "the inputs": inputs, "the targets": targets}.items()
    )
    if x.shape[1] != y.shape[1] or a.shape[0] != y.shape[0]:
        raise InputError(
            f"layers above of shape {a.shape}, inputs of shape {x.shape} and targets of shape {y.shape} do not fit: "
            "the targets need a row for each output and a column for each input."
        )
    basis, scales, rows = np.linalg.svd(x, full_matrices=False)
    if x.shape[0] > x.shape[1] or scales[-1] <= np.finfo(np.float64).eps * max(x.shape) * scales[0]:
        raise InputError("the inputs must have full rank, and at least as many examples as features.")
    seen = y @ rows.T
    rest = y - seen @ rows
    return LeastSquares(a, seen, basis, scales, 0.5 * float(np.sum(rest**2)))


def _matrix(name: str, values: ArrayLike) -> Array:
    found = real_numbers(name, values, "a matrix of real numbers")
    if found.ndim != 2 or not found.size:
        raise InputError(f"{name} must be a matrix with two dimensions, not of shape {found.shape}.")
    if not np.isfinite(found).all():
        raise InputError(f"{name} must have finite entries only.")
    return found


def _positive(name: str, value: float) -> float:
    if not (isinstance(value, float | int | np.floating) and math.isfinite(value) and value > 0):
        raise InputError(f"{name} must be a finite number above 0, not {value!r}.")
    return float(value)
