"""The family test: what every normalization layer should do, for an author to run on a norm of their own.

At once, with every failure in one message,

    normscope.testing.check_norm(MyNorm)

or a check at a time under pytest:

    @pytest.mark.parametrize("check", normscope.testing.CHECKS, ids=lambda check: check.__name__)
    def test_my_norm(check):
        check(normscope.testing.Subject(MyNorm))

The norm is given as a class or function of the number of channels, or as a spec
(``"mypackage.mymodule:MyNorm(arg=1)"``). A norm that draws random numbers from torch's global generator is
seeded alike before every call.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from normscope.errors import InputError
from normscope.nn import make


@dataclasses.dataclass(frozen=True)
class Subject:
    """A norm under test.

    Attributes:
        norm: a spec, or what makes the layer from its number of channels.
        channels: how many channels to test it with, at least 2.
        spatial: the numbers of dimensions after (N, C) it takes.
    """

    norm: str | Callable[[int], nn.Module]
    channels: int = 4
    spatial: tuple[int, ...] = (0, 1, 2, 3)

    def __post_init__(self) -> None:
        if self.channels < 2:
            raise InputError(f"channels must be at least 2 to tell them apart, not {self.channels}.")
        if not self.spatial or not set(self.spatial) <= {0, 1, 2, 3}:
            raise InputError(f"spatial must hold numbers from 0 to 3, not {self.spatial!r}.")

    def layer(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """A new layer whose parameters are not at their neutral start."""
        layer = make(self.norm, self.channels) if isinstance(self.norm, str) else self.norm(self.channels)
        layer = layer.to(dtype)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(torch.rand(parameter.shape, generator=generator, dtype=dtype) + 0.5)
        return layer

    def batches(self, seed: int = 0) -> Iterator[Tensor]:
        """A batch of each number of dimensions, its channels' mean and scale all different."""
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
    """The output has its input's shape, type and device, in training and at inference."""
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
            _call(layer, x)  # running statistics that are not at their start
            function = _stateless(layer.train(training))
            inputs = (x.requires_grad_(), *(p.detach().requires_grad_() for p in layer.parameters()))
            place = f"{'training' if training else 'inference'}, input of shape {tuple(x.shape)}"
            for name, check in (("first", _gradcheck), ("second", _gradgradcheck)):
                complaint = check(function, inputs)
                _require(not complaint, f"{name} derivatives are wrong ({place}): {complaint}")


def agrees_in_single_precision(subject: Subject) -> None:
    """float32 gives float64's output and gradient to 1e-3."""
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
                # Random numbers of the two types differ, so a norm that draws cannot be compared.
                _require(close or _draws(wide, x), "float32 and float64 disagree by more than 1e-3")


def is_still_at_inference(subject: Subject) -> None:
    """At inference the state does not change and the same input gives the same output."""
    layer = subject.layer()
    for x in subject.batches():
        _call(layer, x)
    layer.eval()
    before = copy.deepcopy(layer.state_dict())
    for x in subject.batches(seed=1):
        first, second = layer(x), layer(x)
        _require(torch.equal(first, second), "two calls at inference gave different outputs")
    changed = [key for key, value in layer.state_dict().items() if not torch.equal(value, before[key])]
    _require(not changed, f"inference changed the state: {', '.join(changed)}")


def is_its_state(subject: Subject) -> None:
    """A layer that loads the state behaves as the one that saved it, and so does a deep copy."""
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
                f"a layer with the same state_dict gave another output ({mode}): it keeps more outside",
            )
            _require(
                torch.equal(_call(twin.train(training), x), expected),
                f"a deep copy gave another output ({mode})",
            )


def lets_nan_show(subject: Subject) -> None:
    """A NaN in the input is a NaN in the output, at that place at least."""
    for training in (True, False):
        for x in subject.batches():
            x[1, 1] = torch.nan
            y = _call(subject.layer().train(training), x)
            _require(bool(torch.isnan(y[1, 1]).all()), "a NaN in the input was hidden from the output")


CHECKS: tuple[Check, ...] = (
    keeps_shape_and_type,
    has_right_derivatives,
    agrees_in_single_precision,
    is_still_at_inference,
    is_its_state,
    lets_nan_show,
)


def check_norm(
    norm: str | Callable[[int], nn.Module], channels: int = 4, spatial: tuple[int, ...] = (0, 1, 2, 3)
) -> None:
    """Run every check of the family test on a norm.

    Args:
        norm: a spec, or what makes the layer from its number of channels.
        channels: how many channels to test it with, at least 2.
        spatial: the numbers of dimensions after (N, C) it takes: 2 alone for a norm of images only.

    Raises:
        AssertionError: naming every check that failed, and why.
        InputError: for a spec that cannot be made, or a bad argument.
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
        raise AssertionError("the norm fails the family test\n" + "\n".join(failures))


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
    """Whether the layer takes random numbers from torch's global generator."""
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


def _gradcheck(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> str:
    try:
        torch.autograd.gradcheck(function, inputs, fast_mode=True)
    except Exception as error:
        return str(error).splitlines()[0]
    return ""


def _gradgradcheck(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> str:
    try:
        torch.autograd.gradgradcheck(function, inputs, fast_mode=True)
    except Exception as error:
        return str(error).splitlines()[0]
    return ""
