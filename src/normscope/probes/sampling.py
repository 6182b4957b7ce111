"""The spectrum of every layer, sampled during any training loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import pandas as pd
from torch import nn

from normscope.errors import InputError, NormscopeWarning
from normscope.forward_pass import module_by_module
from normscope.probes._spectrum import chosen_layers
from normscope.probes.layer_sums import Sums, columns
from normscope.probes.table import Table

_CALL = (
    "_compiled_call_impl"  # what torch.nn.Module calls in place of its hooks and forward, if it is not None
)


class SpectrumSampler:
    """A context manager that measures each layer's input at every n-th training step of a model.

    A step is a forward pass of the model in training mode. Passes in evaluation mode are neither counted nor measured.
    The training loop, its gradients and its random numbers stay as they are::

        with SpectrumSampler(model, every=100) as sampler:
            train(model)
        sampler.table()

    A compiled model (``torch.compile(model)``, ``model.compile()``, or compiled parts) runs as it is written in the
    measured steps, and compiled in all others; nothing is compiled again.

    Args:
        model: the model that is trained: the very object that the training loop calls.
        every: n; steps 0, n, 2n, … are measured.
        layers: as for `spectrum`.
        extremes: as for `spectrum`.
        groups: as for `spectrum`.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: ``every`` is not a positive whole number, or a named layer is not a convolution and not linear.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int,
        layers: Iterable[str] | None = None,
        extremes: bool = False,
        groups: bool = False,
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"every must be a positive whole number, not {every!r}.")
        self.model = model
        self.every = every
        self.extremes = extremes
        self.groups = groups
        self.layers = chosen_layers(model, layers)
        self.step = 0
        self._calls = 0
        self._tables: list[pd.DataFrame] = []
        self._entered = False
        self._inner: Callable[..., Any] = model._call_impl
        self._own: Callable[..., Any] | None = None

    def __enter__(self) -> SpectrumSampler:
        """Take over the model's calls.

        Raises:
            InputError: this sampler has them already.
        """
        if self._entered:
            raise InputError("this SpectrumSampler is in use: leave it before it is entered again.")
        self._entered, self._calls = True, 0
        self._inner = getattr(self.model, _CALL) or self.model._call_impl
        self._own = vars(self.model).get(_CALL)
        setattr(self.model, _CALL, self._call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the calls back; the table stays."""
        delattr(self.model, _CALL)
        if self._own is not None:
            setattr(self.model, _CALL, self._own)
        self._entered = False
        if not self._calls and kind is None:
            message = (
                "the model was not called while its SpectrumSampler was in use, so nothing was measured: "
                "give it the object that the training loop calls, outside of any compiled function."
            )
            warnings.warn(message, NormscopeWarning, stacklevel=2)

    def table(self) -> pd.DataFrame:
        """The rows of `spectrum` for every measured step, with the number of the step in a first column ``step``."""
        if not self._tables:
            return Table(columns=["step", *columns(self.groups)])
        return pd.concat(self._tables, ignore_index=True)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        self._calls += 1
        training = self.model.training
        if not training or self.step % self.every:
            output = self._inner(*args, **kwargs)
        else:
            sums = Sums(self.layers, self.extremes)
            with module_by_module(), sums.watching(args, kwargs):
                output = self._inner(*args, **kwargs)
            found = sums.table(self.groups)
            found.insert(0, "step", self.step)
            self._tables.append(found)
        self.step += training
        return output
