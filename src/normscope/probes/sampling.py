"""The spectrum of every layer, sampled during any training loop."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any

import pandas as pd
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from normscope.errors import InputError
from normscope.probes._spectrum import COLUMNS, Sums, chosen_layers
from normscope.probes.capture import watch


class SpectrumSampler:
    """A context manager that measures each layer's input at every n-th training step of a model.

    A step is a forward pass of the model in training mode. Passes in evaluation mode are neither counted nor measured.
    The training loop, its gradients and its random numbers stay as they are::

        with SpectrumSampler(model, every=100) as sampler:
            train(model)
        sampler.table()

    Args:
        model: the model that is trained.
        every: n; steps 0, n, 2n, … are measured.
        layers: names of layers; by default every convolution and linear layer.
        extremes: as for `spectrum`.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: ``every`` is not a positive whole number, or a named layer is not a convolution and not linear.
    """

    def __init__(
        self, model: nn.Module, every: int, layers: Iterable[str] | None = None, extremes: bool = False
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"every must be a positive whole number, not {every!r}.")
        self.model = model
        self.every = every
        self.extremes = extremes
        self.layers = chosen_layers(model, layers)
        self.step = 0
        self._sums: Sums | None = None
        self._tables: list[pd.DataFrame] = []
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> SpectrumSampler:
        """Register the hooks.

        Raises:
            InputError: they are registered already.
        """
        if self._handles:
            raise InputError("this SpectrumSampler is in use: leave it before it is entered again.")
        self._handles = [
            self.model.register_forward_pre_hook(self._before),
            *watch(self.layers, self._seen),
            self.model.register_forward_hook(self._after),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the hooks; the table stays."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._sums = [], None

    def table(self) -> pd.DataFrame:
        """The rows of `spectrum` for every measured step, with the number of the step in a first column ``step``."""
        if not self._tables:
            return pd.DataFrame(columns=["step", *COLUMNS])
        return pd.concat(self._tables, ignore_index=True)

    def _before(self, model: nn.Module, args: Any) -> None:
        sampled = model.training and self.step % self.every == 0
        self._sums = Sums(self.layers, self.extremes) if sampled else None

    def _seen(self, name: str, layer: nn.Module, value: Tensor) -> None:
        if self._sums is not None:
            self._sums.add(name, layer, value)

    def _after(self, model: nn.Module, args: Any, output: Any) -> None:
        if self._sums is not None:
            found = self._sums.table()
            found.insert(0, "step", self.step)
            self._tables.append(found)
            self._sums = None
        self.step += model.training
