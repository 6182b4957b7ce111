from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from normscope import timing
from normscope.errors import InputError
from normscope.testing import CHECKS, Check, Subject, check_norm


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with timing.threads(1):
        yield


@pytest.mark.parametrize("spec", ["none", "suppress", "lp(p=3)", "alternating", "noisy", "group(groups=2)"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_norms_with_and_without_state_and_noise_pass_every_check(spec: str, check: Check) -> None:
    check(Subject(spec, spatial=(0, 2)))


def test_the_frameworks_layers_pass_at_the_dimensions_they_take() -> None:
    check_norm(nn.BatchNorm2d, spatial=(2,))
    check_norm(lambda C: nn.InstanceNorm1d(C, affine=True, track_running_stats=True), spatial=(1,))
    check_norm("instance", spatial=(1,))


class Wrong(nn.Module):
    """A layer to break in one way at a time."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(C))
        self.register_buffer("seen", torch.zeros(C))
        self.outside = 0.0


class DropsADimension(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(-1) if x.ndim > 2 else x


class CastsToFloat(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return x.float()


class DetachesItsMean(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True).detach()


class _FirstOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        ctx.saved = x.detach()
        return x**3

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return 3 * ctx.saved**2 * grad


class DetachesItsBackward(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return _FirstOnly.apply(x)


class LosesPrecision(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return (x + 1e5) - 1e5


class MovesAtInference(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        self.seen.add_(1)
        return x


class KeepsStateOutside(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.outside += 1.0
        return x * (1 + self.outside)


class HidesNan(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return torch.nan_to_num(x)


@pytest.mark.parametrize(
    ("wrong", "failed", "why"),
    [
        (DropsADimension, "keeps_shape_and_type", r"shape \(5, 4, 3\) came out as \(5, 4\)"),
        (CastsToFloat, "keeps_shape_and_type", "float64 came out as torch.float32"),
        (DetachesItsMean, "has_right_derivatives", "first derivatives are wrong"),
        (DetachesItsBackward, "has_right_derivatives", "second derivatives are wrong"),
        (LosesPrecision, "agrees_in_single_precision", "disagree by more than 1e-3"),
        (MovesAtInference, "is_still_at_inference", "inference changed the state: seen"),
        (KeepsStateOutside, "is_its_state", "some state is kept outside"),
        (HidesNan, "lets_nan_show", "does not show in the output"),
    ],
)
def test_a_norm_that_is_wrong_in_one_way_fails_the_check_for_it(
    wrong: Callable[[int], nn.Module], failed: str, why: str
) -> None:
    (check,) = (check for check in CHECKS if check.__name__ == failed)
    with pytest.raises(AssertionError, match=why):
        check(Subject(wrong, spatial=(1,)))


def test_one_message_names_every_check_that_failed() -> None:
    with pytest.raises(AssertionError, match=r"(?s)keeps_shape_and_type: an input.*\nlets_nan_show: a NaN"):
        check_norm(lambda C: nn.Sequential(HidesNan(C), CastsToFloat(C)), spatial=(1,))


def test_a_bad_subject_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        Subject("batch", channels=1)
    with pytest.raises(InputError, match="from 0 to 3"):
        Subject("batch", spatial=(4,))
    with pytest.raises(InputError, match="unknown norm"):
        check_norm("bacth")
