"""Small models for surgery, with norms as if trained."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import normscope as ns
from normscope import timing
from normscope.nn.module_kinds import core, norms

Built = tuple[nn.Module, Tensor]


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed() -> Iterator[None]:
    torch.manual_seed(0)
    with timing.threads(1):
        yield


class Branches(nn.Module):
    """Residual branches, a convolution called twice, and control flow on a shape, which defeats symbolic tracing."""

    def __init__(self, symbolic: bool) -> None:
        super().__init__()
        self.symbolic = symbolic
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(6)
        self.left = nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.left_norm = nn.BatchNorm2d(6)
        self.shared = nn.Conv2d(6, 6, 1)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2)
        self.up_norm = nn.BatchNorm2d(4, affine=False)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        if not self.symbolic and len(x) > 1e9:
            return x
        x = F.relu(self.stem_norm(self.stem(x)))
        x = x + self.left_norm(self.left(x))
        x = torch.relu_(self.shared(x))
        x = x + self.shared(x)
        x = F.relu(self.up_norm(self.up(x)))
        return self.head(x.mean((2, 3)))


def _mlp() -> Built:
    layers = [
        nn.Linear(7, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Linear(8, 6, bias=False),
        nn.BatchNorm1d(6),
        nn.Tanh(),
    ]
    return nn.Sequential(*layers, nn.Linear(6, 3)), torch.randn(16, 7)


def _lenet(place: str) -> Callable[[], Built]:
    return lambda: (ns.networks.lenet("batch", place), torch.randn(4, 1, 32, 32))


def _huggingface(
    family: str, change: Callable[[nn.Module], nn.Module] = lambda m: m, **config: object
) -> Callable[[], Built]:
    def build() -> Built:
        transformers = pytest.importorskip(
            "transformers", reason="transformers, of the test extra, is not installed"
        )
        made = getattr(transformers, f"{family}Config")(num_labels=5, **config)
        return change(getattr(transformers, f"{family}ForImageClassification")(made)), torch.randn(
            4, 3, 64, 64
        )

    return build


_MODELS: dict[str, Callable[[], Built]] = {
    "lenet": _lenet("after"),
    "lenet, norms before": _lenet("before"),
    "mlp": _mlp,
    "branches": lambda: (Branches(True), torch.randn(4, 3, 8, 8)),
    "branches that fx cannot follow": lambda: (Branches(False), torch.randn(4, 3, 8, 8)),
    "ResNet": _huggingface("ResNet", embedding_size=8, hidden_sizes=[16, 32], depths=[1, 2]),
    "RegNet": _huggingface("RegNet", embedding_size=8, hidden_sizes=[16, 32], depths=[1, 2], groups_width=8),
    "ConvNext with batch norm": _huggingface(
        "ConvNext", lambda m: ns.replace_norms(m, "batch"), hidden_sizes=[8, 16], depths=[1, 2], num_stages=2
    ),
}


def _live(model: nn.Module) -> None:
    """Statistics and parameters as if trained."""
    for _, norm in norms(model):
        for name, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.5, 0.5),
            ("running_mean", -0.5, 0.5),
            ("running_var", 0.5, 1.5),
        ):
            if (tensor := getattr(core(norm), name, None)) is not None:
                nn.init.uniform_(tensor, low, high)


@pytest.fixture(params=list(_MODELS))
def built(request: pytest.FixtureRequest) -> Built:
    """A model in evaluation mode, and an input."""
    model, x = _MODELS[request.param]()
    _live(model)
    return model.eval(), x


@pytest.fixture
def lived_in() -> Callable[[nn.Module], nn.Module]:
    """Gives a test's own model statistics and parameters as if trained; it comes back in evaluation mode."""

    def live(model: nn.Module) -> nn.Module:
        _live(model)
        return model.eval()

    return live


@pytest.fixture
def output() -> Callable[[nn.Module, Tensor], Tensor]:
    """Runs a model without gradients; the logits, where it returns more."""

    def run(model: nn.Module, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = model(x)
        return getattr(y, "logits", y)

    return run


@pytest.fixture
def off() -> Callable[[Tensor, Tensor], float]:
    """The relative distance of two outputs."""

    def distance(y: Tensor, wanted: Tensor) -> float:
        return ((y - wanted).norm() / wanted.norm()).item()

    return distance
