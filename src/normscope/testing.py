"""Checks that every norm should pass, for authors to run on norms of their own.

All at once, with every failure in one message:

    normscope.testing.check_norm(MyNorm)

One check at a time, under pytest:

    @pytest.mark.parametrize("check", normscope.testing.CHECKS, ids=lambda check: check.__name__)
    def test_my_norm(check):
        check(normscope.testing.Subject(MyNorm))

A norm is a class or function of the number of channels, or a spec (``"mypackage.mymodule:MyNorm(arg=1)"``). Torch's
global generator has the same seed before every call, for norms that draw random numbers.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

from normscope.errors import InputError
from normscope.nn import make
from normscope.nn.factory import NormSpec


@dataclasses.dataclass(frozen=True)
class Subject:
    """A norm under test.

    Attributes:
        norm: a spec, or a callable from a number of channels to the layer.
        channels: number of channels in the tests, at least 2.
        spatial: the numbers of spatial dimensions, after (N, C), that the norm accepts.
    """

    norm: NormSpec
    channels: int = 4
    spatial: tuple[int, ...] = (0, 1, 2, 3)

    def __post_init__(self) -> None:
        if self.channels < 2:
            raise InputError(
                f"channels must be at least 2, not {self.channels}: the checks compare channels."
            )
        if not self.spatial or not set(self.spatial) <= {0, 1, 2, 3}:
            raise InputError(f"spatial must hold numbers from 0 to 3, not {self.spatial!r}.")

    def layer(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """A new layer with parameters other than 0 and 1."""
        layer = make(self.norm, self.channels).to(dtype)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(torch.rand(parameter.shape, generator=generator, dtype=dtype) + 0.5)
        return layer

    def batches(self, seed: int = 0) -> Iterator[Tensor]:
        """A batch for each number of spatial dimensions, in which every channel has its own mean and scale."""
        generator = torch.Generator().manual_seed(seed)
        scale = torch.logspace(-0.7, 0.7, self.channels, dtype=torch.float64)
        mean = torch.linspace(-1.0, 1.5, self.channels, dtype=torch.float64)
        for spatial in self.spatial:
            size = (5 if spatial < 2 else 3, self.channels, *(3, 2, 2)[:spatial])
            view = (-1, *(1,) * spatial)
            x = torch.randn(size, generator=generator, dtype=torch.float64)
            yield x * scale.view(view) + mean.view(view)


Check = Callable[[Subject], None]


def keeps_shape_and_type(subject: Subject) -> None:
    """The output has the input's shape and type, in training and at inference."""
    for dtype in (torch.float32, torch.float64):
        layer = subject.layer(dtype)
        for training in (True, False):
            for x in subject.batches():
                y = _call(layer.train(training), x.to(dtype))
                _require(
                    y.shape == x.shape, f"an input of shape {tuple(x.shape)} came out as {tuple(y.shape)}"
                )
                _require(y.dtype == dtype, f"an input of {dtype} came out as {y.dtype}")


def has_right_derivatives(subject: Subject) -> None:
    """First and second derivatives agree with finite differences along random directions, in both modes."""
    for training in (True, False):
        for x in subject.batches():
            layer = subject.layer()
            _call(layer, x)  # moves the running statistics from their initial values
            function = _stateless(layer.train(training))
            inputs = (x.requires_grad_(), *(p.detach().requires_grad_() for p in layer.parameters()))
            place = f"{'training' if training else 'inference'}, input of shape {tuple(x.shape)}"
            for name, check in (("first", gradcheck), ("second", gradgradcheck)):
                try:
                    check(function, inputs, fast_mode=True)
                except Exception as error:
                    reason = str(error).partition("\n")[0]
                    raise AssertionError(f"{name} derivatives are wrong ({place}): {reason}") from error


def agrees_in_single_precision(subject: Subject) -> None:
    """The output and gradient in float32 agree with those in float64 to 1e-3."""
    for training in (True, False):
        wide = subject.layer().train(training)
        single = copy.deepcopy(wide).float()
        for x in subject.batches():
            results = []
            for layer, leaf in ((wide, x), (single, x.float())):
                at = leaf.clone().requires_grad_()
                with _seeded():
                    y = layer(at)
                weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view(y.shape).to(y.dtype)
                results.append((y, *torch.autograd.grad(y, at, weights)))
            for a, b in zip(*results, strict=True):
                close = torch.allclose(a.detach(), b.detach().double(), rtol=1e-3, atol=1e-3)
                # Random numbers of the two types differ, so a norm that draws them cannot be compared.
                _require(close or _draws(wide, x), "float32 and float64 disagree by more than 1e-3")


def is_still_at_inference(subject: Subject) -> None:
    """At inference the state does not change, and the same input has the same output."""
    layer = subject.layer()
    for x in subject.batches():
        _call(layer, x)
    layer.eval()
    before = copy.deepcopy(layer.state_dict())
    for x in subject.batches(seed=1):
        first, second = layer(x), layer(x)
        _require(torch.equal(first, second), "two calls at inference had different outputs")
    changed = [key for key, value in layer.state_dict().items() if not torch.equal(value, before[key])]
    _require(not changed, f"inference changed the state: {', '.join(changed)}")


def is_its_state(subject: Subject) -> None:
    """A layer that loads another's state_dict behaves as that layer does, and so does a deep copy."""
    layer = subject.layer()
    for x in subject.batches():
        _call(layer, x)
    loaded = subject.layer()
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.zero_()
    loaded.load_state_dict(layer.state_dict())
    twin = copy.deepcopy(layer)
    for training in (True, False):
        for x in subject.batches(seed=1):
            expected = _call(layer.train(training), x)
            mode = "training" if training else "inference"
            _require(
                torch.equal(_call(loaded.train(training), x), expected),
                f"a layer with the same state_dict has another output ({mode}): some state is kept outside",
            )
            _require(
                torch.equal(_call(twin.train(training), x), expected),
                f"a deep copy has another output ({mode})",
            )


def lets_nan_show(subject: Subject) -> None:
    """A NaN in the input is a NaN in the output, at least in the same place."""
    for training in (True, False):
        for x in subject.batches():
            x[1, 1] = torch.nan
            y = _call(subject.layer().train(training), x)
            _require(bool(torch.isnan(y[1, 1]).all()), "a NaN in the input does not show in the output")


CHECKS: tuple[Check, ...] = (
    keeps_shape_and_type,
    has_right_derivatives,
    agrees_in_single_precision,
    is_still_at_inference,
    is_its_state,
    lets_nan_show,
)


def check_norm(norm: NormSpec, channels: int = 4, spatial: tuple[int, ...] = (0, 1, 2, 3)) -> None:
    """Run every check on a norm.

    Args:
        norm: a spec, or a callable from a number of channels to the layer.
        channels: number of channels in the tests, at least 2.
        spatial: the numbers of spatial dimensions, after (N, C), that the norm accepts: ``(2,)`` for images only.

    Raises:
        AssertionError: naming every check that failed, and why.
        InputError: for a norm that cannot be made, or a bad argument.
    """
    subject = Subject(norm, channels, spatial)
    failures = []
    for check in CHECKS:
        try:
            check(subject)
        except InputError:
            raise
        except Exception as error:
            failures.append(f"{check.__name__}: {error or type(error).__name__}")
    if failures:
        raise AssertionError("the norm fails these checks\n" + "\n".join(failures))


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


@contextmanager
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _call(layer: nn.Module, x: Tensor) -> Tensor:
    with _seeded(), torch.no_grad():
        output: Tensor = layer(x)
    return output


def _draws(layer: nn.Module, x: Tensor) -> bool:
    """Whether the layer draws random numbers from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        layer(x)
        return not torch.equal(before, torch.get_rng_state())


def _stateless(layer: nn.Module) -> Callable[..., Tensor]:
    names = [name for name, _ in layer.named_parameters()]
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        state = dict(zip(names, parameters, strict=True)) | {k: v.clone() for k, v in buffers.items()}
        with _seeded():
            output: Tensor = functional_call(layer, state, (x,))
        return output

    return call
