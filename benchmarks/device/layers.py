"""Every norm and AdaptiveConv2d: forward, backward and running statistics on the device and on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import normscope as ns
from benchmarks.device import errors
from benchmarks.device.report import Report
from normscope.nn import AdaptiveConv2d
from normscope.nn.descriptions import NORMS

SHAPE = (16, 8, 12, 12)
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-10}
"""Of the largest number in each tensor; a float32 gradient is a sum of some thousand products."""

VARIANTS = {
    "batch": ("batch", "batch(center=false)", "batch(rescale=false)", "batch(track_running_stats=false)"),
    "amplify": ("amplify(threshold=1)", "amplify(threshold=0)", "amplify(threshold=inf)"),
    "suppress": ("suppress(threshold=1)", "suppress(threshold=0)", "suppress(threshold=inf)"),
    "lp": ("lp(p=1)", "lp(p=2)", "lp(p=3)", "lp(p=inf)", "lp(p=1,centered=false)"),
    "alternating": ("alternating(period=2)",),
    "group": ("group(groups=4)",),
}
"""The specs to check of each norm that has more than one, by its name; of any other, the name itself."""

CONVOLUTIONS = {
    "AdaptiveConv2d(l1)": {"normalizer": "l1"},
    "AdaptiveConv2d(l2)": {"normalizer": "l2"},
    "AdaptiveConv2d(l2, sum)": {"normalizer": "l2", "power": "sum"},
    "AdaptiveConv2d(noise)": {"error_noise": 1.0},
}


def makers() -> Iterator[tuple[str, Callable[[], nn.Module]]]:
    """Each layer's name, and a function that makes it on the CPU."""
    for name in NORMS:
        for spec in VARIANTS.get(name, (name,)):
            yield spec, lambda spec=spec: _quiet(ns.nn.make(spec, SHAPE[1]))
    for name, options in CONVOLUTIONS.items():
        yield (
            name,
            lambda options=options: AdaptiveConv2d(
                SHAPE[1], 4, 3, padding=1, generator=torch.Generator().manual_seed(1), **options
            ),
        )


def check(report: Report, kind: str) -> None:
    """Check every layer in float32 and float64, and the noise of NoisyNorm, which each device draws for itself."""
    report.head("Layers", "layer", "largest error", "allowed", "verdict", "time")
    for name, make in makers():
        for dtype, tolerance in TOLERANCES.items():
            word = str(dtype).removeprefix("torch.")
            report.check(
                f"{name}, {word}", tolerance, lambda make=make, dtype=dtype: _error(make, dtype, kind)
            )
    report.check("noisy: the generator's seed decides the noise", 0.0, lambda: _noise_again(kind))
    report.check("noisy: mean and deviation of the noise", 0.1, lambda: _law_of_noise(kind))


def _error(make: Callable[[], nn.Module], dtype: torch.dtype, kind: str) -> float:
    return errors.of_tensors(passes(make, dtype, kind), passes(make, dtype, "cpu"))


def passes(make: Callable[[], nn.Module], dtype: torch.dtype, kind: str) -> dict[str, Tensor]:
    """What two training steps and an evaluation give; half of the channels have power ¼, half have power 4."""
    torch.manual_seed(0)
    layer = make().to(kind, dtype)
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([0.5] * (SHAPE[1] // 2) + [2.0] * (SHAPE[1] // 2)).view(-1, 1, 1)
    found: dict[str, Tensor] = {}
    for step in range(2):
        x = (
            (torch.randn(SHAPE, generator=generator, dtype=torch.float64) * scale)
            .to(kind, dtype)
            .requires_grad_()
        )
        y = layer.train()(x)
        gradient = torch.randn(y.shape, generator=generator, dtype=torch.float64).to(kind, dtype)
        wanted = {"x": x, **dict(layer.named_parameters())}
        if y.requires_grad:
            gradients = torch.autograd.grad(y, list(wanted.values()), gradient)
            found |= {f"gradient {step} of {name}": one for name, one in zip(wanted, gradients, strict=True)}
        found[f"output {step}"] = y.detach()
    found |= {name: buffer.detach().clone() for name, buffer in layer.named_buffers()}
    with torch.no_grad():
        found["evaluation"] = layer.eval()(x.detach())
    return found


def _quiet(layer: nn.Module) -> nn.Module:
    if hasattr(layer, "noise"):
        layer.noise = False
    return layer


def _noisy(kind: str, samples: int) -> Tensor:
    layer = ns.nn.NoisyNorm(4, generator=torch.Generator().manual_seed(3)).to(kind)
    x = torch.randn((samples, 4, 8, 8), generator=torch.Generator().manual_seed(0)).to(kind)
    with torch.no_grad():
        noisy = layer(x)
        layer.noise = False
        return noisy - layer(x)


def _noise_again(kind: str) -> float:
    return float((_noisy(kind, 16) - _noisy(kind, 16)).abs().max())


def _law_of_noise(kind: str) -> float:
    """How far mean and deviation of the noise are from the CPU's; each of 256 places draws a center of its own."""
    here, there = _noisy(kind, 4096), _noisy("cpu", 4096)
    return max(abs(float(here.mean()) - float(there.mean())), abs(float(here.std()) / float(there.std()) - 1))
