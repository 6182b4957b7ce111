"""Spectra sampled while a training loop runs."""

from __future__ import annotations

import copy

import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn
from torch.utils.checkpoint import checkpoint

import normscope as ns
from normscope.errors import InputError


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(),
        nn.Conv2d(6, 4, 3, stride=2),
        nn.Flatten(),
        nn.Linear(36, 5),
    )


def train(model, steps):
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step in range(steps):
        model.train()
        loss = model(batch(8, 2, 8, 8, seed=step)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        model(batch(8, 2, 8, 8, seed=99))
    return model.state_dict()


def test_sampling_a_training_loop_measures_every_nth_step_and_changes_nothing():
    plain = train(network(), 5)
    model = network()
    with ns.probes.SpectrumSampler(model, every=2) as sampler:
        sampled = train(model, 5)
    assert all(torch.equal(plain[name], sampled[name]) for name in plain)
    rows = sampler.table()
    assert sorted(set(rows.step)) == [0, 2, 4]
    first = ns.probes.spectrum(network().train(), batch(8, 2, 8, 8, seed=0))
    assert list(rows[rows.step == 0].lambda_max[:1]) == pytest.approx(list(first.lambda_max[:1]), rel=1e-9)
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_sampling_a_transformer_measures_its_projections_and_leaves_every_gradient():
    torch.manual_seed(0)
    model, x = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True), batch(30, 5, 8)
    model(x).square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    with ns.probes.SpectrumSampler(model, every=1) as sampler:
        loss = model(x).square().sum()
    loss.backward()
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert_frame_equal(sampler.table().drop(columns="step"), ns.probes.spectrum(model, x))


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_block_is_sampled_in_its_forward_alone(reentrant):
    block = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    x = batch(30, 4).requires_grad_()

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = block

        def forward(self, x):
            return checkpoint(self.block, x, use_reentrant=reentrant)

    with ns.probes.SpectrumSampler(Checkpointed(), every=1) as sampler:
        sampler.model(x).sum().backward()
    assert sampler.table().samples.tolist() == [30, 30]


def test_two_samplers_of_one_model_measure_their_own_steps():
    model = nn.Linear(4, 3)
    with (
        ns.probes.SpectrumSampler(model, every=1) as every,
        ns.probes.SpectrumSampler(model, every=3) as third,
    ):
        for step in range(4):
            model(batch(9, 4, seed=step))
    assert every.table().step.tolist() == [0, 1, 2, 3]
    assert third.table().step.tolist() == [0, 3]


def test_a_sampled_model_can_be_copied_and_is_afterwards_as_before():
    model = nn.Linear(4, 3)
    before = dict(vars(model))
    with ns.probes.SpectrumSampler(model, every=1) as sampler:
        model(batch(9, 4))
        copy.deepcopy(model)(batch(9, 4))
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            model(batch(9, 5))
    assert sampler.table().step.tolist() == [0]
    assert vars(model) == before
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_sampling_a_model_that_is_one_layer_works():
    model = nn.Linear(3, 2)
    with ns.probes.SpectrumSampler(model, every=1) as sampler:
        model(batch(4, 3))
    assert sampler.table().lambda_max[0] == pytest.approx(
        float(torch.linalg.svdvals(batch(4, 3))[0].square() / 4)
    )


def test_a_sampler_in_use_is_not_entered_again():
    model = nn.Linear(3, 2)
    sampler = ns.probes.SpectrumSampler(model, every=1)
    for _ in range(2):
        with sampler:
            with pytest.raises(InputError, match="in use"):
                sampler.__enter__()
            model(torch.ones(4, 3))
    assert len(sampler.table()) == 2
    assert not model._forward_pre_hooks
    assert not model._forward_hooks


def test_sampling_refuses_a_step_that_is_no_whole_number():
    with pytest.raises(InputError, match="every"):
        ns.probes.SpectrumSampler(network(), every=0)
