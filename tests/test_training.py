import math

import pytest
import torch
from torch import nn

from normscope import training
from normscope.errors import InputError


def line(weight: float = 0.0) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, weight)
    return model


def half_squared(output, target):
    return 0.5 * ((output - target) ** 2).mean()


def batches(*targets: float):
    return [(torch.ones(1, 1), torch.full((1, 1), target)) for target in targets]


def descend(model, epochs, rate=0.5, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    return training.train(model, optimizer, epochs, loss_function=half_squared, **options)


def test_each_step_is_gradient_descent_on_its_batch():
    model = line()
    descend(model, [batches(1.0, 1.0)])
    assert model.weight.item() == pytest.approx(0.75)  # w ← w + (1 − w)/2, twice from 0


def test_steps_and_epochs_are_counted_from_one_with_their_losses():
    steps, epochs = [], []
    descend(
        line(),
        [batches(1.0, 1.0), batches(1.0)],
        after_step=lambda *heard: steps.append(heard),
        after_epoch=lambda *heard: epochs.append(heard),
    )
    assert steps == [(1, 0.5), (2, 0.125), (3, 0.03125)]
    assert epochs == [(1, 0.3125), (2, 0.03125)]


def test_a_loss_above_the_limit_ends_the_run_before_its_step():
    model = line()
    divergence = descend(model, [batches(1.0, 100.0, 1.0)])
    assert divergence == training.Divergence(step=2, loss=pytest.approx(0.5 * 99.5**2))
    assert model.weight.item() == 0.5


@pytest.mark.parametrize("target", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run(target):
    divergence = descend(line(), [batches(1.0, target, 1.0)])
    assert divergence.step == 2
    assert not math.isfinite(divergence.loss)


def test_a_loss_of_exactly_the_limit_is_no_divergence():
    assert descend(line(), [batches(1.0)], limit=training.DivergenceLimit(0.5)) is None
    assert descend(line(), [batches(1.0)], limit=training.DivergenceLimit(0.49)) is not None


def test_max_steps_ends_the_run_in_the_middle_of_an_epoch():
    heard = []
    descend(
        line(),
        [batches(1.0, 1.0), batches(1.0, 1.0)],
        max_steps=3,
        after_step=lambda step, _: heard.append(step),
    )
    assert heard == [1, 2, 3]


def test_an_epoch_without_a_batch_is_refused():
    with pytest.raises(InputError, match="fewer examples than one batch"):
        descend(line(), [[]])


def test_training_mode_holds_in_every_epoch_whatever_the_callback_does():
    model = nn.Sequential(line())
    modes = []
    model.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    descend(model, [batches(1.0), batches(1.0)], after_epoch=lambda *_: model.eval())
    assert modes == [True, True]


class Fixed(nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x):
        assert not self.training
        return self.logits[: len(x)]


def test_the_error_rate_counts_wrong_answers_and_answers_that_are_no_numbers():
    model = Fixed([[1.0, 0.0], [1.0, 0.0], [math.nan, 0.0], [0.0, math.inf]])
    model.train()
    error = training.error_rate(model, [(torch.zeros(4, 1), torch.tensor([0, 1, 0, 1]))])
    assert error == 0.75
    assert model.training


def denormals_vanish() -> bool:
    return (torch.tensor(1e-40) * 1.0).item() == 0.0


def test_denormals_are_flushed_while_training_and_only_then():
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot flush denormals")
    seen = []
    descend(line(), [batches(1.0)], after_step=lambda *_: seen.append(denormals_vanish()))
    assert seen == [True]
    assert not denormals_vanish()


def test_a_seeded_block_draws_the_same_and_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with training.seeded(5):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with training.seeded(5):
        assert torch.equal(torch.rand(3), first)
