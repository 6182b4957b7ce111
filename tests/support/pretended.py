"""A pretended accelerator: tensors that say they are elsewhere, and refuse to meet those of the CPU.

Their values are on the CPU, in ``values``. An operation of several tensors is refused unless all are on the same side,
as on a real GPU: only a tensor without dimensions, or an index, may come from the CPU. The device is called ``meta``,
which torch's autograd engine runs on the CPU's threads. Use :func:`pretended_device`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
_MAY_MIX = ("aten._to_copy", "aten.copy_", "aten.index.", "aten.index_put", "aten._index_put_impl_")


class Elsewhere(Tensor):
    """A tensor on the pretended device."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor):
        made = Tensor._make_wrapper_subclass(
            cls, values.shape, strides=values.stride(), storage_offset=values.storage_offset(),
            dtype=values.dtype, device=DEVICE, requires_grad=False,
        )  # fmt: skip
        made.values = values
        return made

    is_meta = False
    is_cpu = False

    @property
    def data(self):
        return Tensor.data.__get__(self)

    @data.setter
    def data(self, given):
        Tensor.data.__set__(self, given)
        self.values = given.values

    def get_device(self):
        return 0

    def data_ptr(self):
        return self.values.data_ptr()

    def untyped_storage(self):
        return self.values.untyped_storage()

    def tolist(self):
        return self.values.tolist()

    def numpy(self, *, force=False):
        if not force:
            raise TypeError("can't convert a tensor of another device to numpy")
        return self.values.detach().numpy()

    def __repr__(self, *, tensor_contents=None):
        return f"Elsewhere({self.values})"

    def __deepcopy__(self, memo):
        made = Elsewhere(self.values.clone()).requires_grad_(self.requires_grad)
        return torch.nn.Parameter(made, self.requires_grad) if isinstance(self, torch.nn.Parameter) else made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _inside(tree):
    return tree_map(lambda one: one.values if isinstance(one, Elsewhere) else one, tree)


def _run(function, args, kwargs):
    name = str(function)
    given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    here = [one for one in given if not isinstance(one, Elsewhere) and one.ndim]
    elsewhere = [one for one in given if isinstance(one, Elsewhere)]
    if here and elsewhere and not name.startswith(_MAY_MIX):
        raise RuntimeError(f"{name}: tensors of two devices meet")
    wanted = kwargs.get("device")
    wants_elsewhere = wanted is not None and torch.device(wanted) == DEVICE
    is_elsewhere = bool(elsewhere) if wanted is None else wants_elsewhere
    if name.startswith("aten.copy_"):
        is_elsewhere = isinstance(args[0], Elsewhere)
    if wants_elsewhere:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    generator = kwargs.get("generator")
    if generator is not None and wants_elsewhere:
        raise RuntimeError(f"{name}: a generator of the CPU draws elsewhere")
    found = function(*_inside(args), **_inside(kwargs))
    known = {id(one.values): one for one in elsewhere}

    def outside(one):
        if not isinstance(one, Tensor) or not is_elsewhere or isinstance(one, Elsewhere):
            return one
        return known[id(one)] if id(one) in known else Elsewhere(one)

    return tree_map(outside, found)


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


@contextmanager
def pretended_device() -> Iterator[None]:
    """A context in which cells run on the pretended device."""
    from normscope import devices

    def as_on_the_cpu(function):
        return lambda kind: function("cpu" if kind == DEVICE.type else kind)

    token = devices._CURRENT.set(DEVICE.type)
    try:
        with (
            _Mode(),
            mock.patch("torch.get_autocast_dtype", as_on_the_cpu(torch.get_autocast_dtype)),
            mock.patch(
                "torch.inference_mode", lambda is_on=True: torch.no_grad() if is_on else nullcontext()
            ),
            mock.patch("torch.is_autocast_enabled", as_on_the_cpu(torch.is_autocast_enabled)),
        ):
            yield
    finally:
        devices._CURRENT.reset(token)
