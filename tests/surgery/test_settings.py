"""A norm in place of one of its own kind is the same function, in training and at inference."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, NormscopeWarning
from normscope.nn.module_kinds import channels_last
from normscope.surgery import EachPosition, changes

BATCH = {
    "plain": lambda: nn.BatchNorm2d(4),
    "not affine": lambda: nn.BatchNorm2d(4, affine=False),
    "no statistics": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "cumulative": lambda: nn.BatchNorm2d(4, momentum=None, eps=0.1),
    "ours": lambda: ns.nn.BatchNorm(4, bias=False),
}


def _trained(norm: nn.Module) -> nn.Module:
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm


@pytest.mark.parametrize("make", BATCH.values(), ids=BATCH)
def test_batch_for_a_batch_norm_trains_and_infers_alike(make):
    old = nn.Sequential(nn.Conv2d(3, 4, 1), _trained(make()))
    new = ns.replace_norms(old, "batch")
    x = torch.randn(6, 3, 5, 5)
    for model in (old, new):
        optimizer = torch.optim.SGD(model.parameters(), 0.5)
        (
            model(x) * torch.randn(4, 1, 1, generator=torch.Generator().manual_seed(0))
        ).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(new(x), old(x))
    torch.testing.assert_close(new.eval()(x), old.eval()(x))
    assert list(new.state_dict()) == list(old.state_dict())


def test_frozen_statistics_stay_frozen():
    old = nn.Sequential(nn.BatchNorm2d(3))
    old[0].track_running_stats = False
    new = ns.replace_norms(old, "batch")
    new(5 + torch.randn(4, 3, 5, 5))
    torch.testing.assert_close(new[0].running_mean, torch.zeros(3))


class FrozenBatchNorm2d(nn.Module):
    """A batch norm whose statistics are constants, as detection networks have it."""

    def __init__(self, C):
        super().__init__()
        for name, value in (("weight", 2.0), ("bias", 1.0), ("running_mean", 3.0), ("running_var", 4.0)):
            self.register_buffer(name, torch.full((C,), value))

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


def test_constant_statistics_are_kept_for_evaluation_and_the_record_names_the_difference_in_training():
    old, x = nn.Sequential(FrozenBatchNorm2d(3)), torch.randn(4, 3, 5, 5)
    new = ns.replace_norms(old, "batch")
    assert "statistics were constants; in training mode, the new norm measures" in changes(new)[0].reason
    torch.testing.assert_close(new.eval()(x), old(x))
    assert not any(parameter.requires_grad for parameter in new.parameters())


def test_an_instance_norm_without_statistics_becomes_a_batch_norm_with_them():
    (new,) = ns.replace_norms(nn.Sequential(nn.InstanceNorm2d(3)), "batch")
    assert new.running_mean is not None
    assert new.weight is not None


class PixelLayerNorm(nn.LayerNorm):
    """A layer norm over the channels of each pixel, as ConvNeXt's."""

    data_format = "channels_first"

    def forward(self, x):
        return F.layer_norm(
            x.movedim(1, -1), self.normalized_shape, self.weight, self.bias, self.eps
        ).movedim(-1, 1)


LAYER = {
    "features": (lambda: nn.LayerNorm(4, eps=0.1), (2, 5, 4)),
    "no bias": (lambda: nn.LayerNorm(4, bias=False), (3, 4)),
    "not affine": (lambda: nn.LayerNorm(4, elementwise_affine=False), (2, 3, 5, 4)),
    "images": (lambda: nn.LayerNorm((4, 5, 6)), (2, 4, 5, 6)),
    "pixels": (lambda: PixelLayerNorm(4), (2, 4, 5, 6)),
    "one vector": (lambda: nn.LayerNorm(4), (4,)),
}


@pytest.mark.parametrize(("make", "shape"), LAYER.values(), ids=LAYER)
def test_layer_for_a_layer_norm_is_the_same_function(make, shape):
    old = nn.Sequential(_trained(make()))
    new, x = ns.replace_norms(old, "layer"), torch.randn(shape)
    torch.testing.assert_close(new(x), old(x))
    assert len(list(new.parameters())) == len(list(old.parameters()))


class ShiftedRMSNorm(nn.Module):
    """An RMS norm whose gain is 1 + w, as Gemma's."""

    def __init__(self, dim):
        super().__init__()
        self.eps, self.weight = 1e-3, nn.Parameter(torch.randn(dim))

    def forward(self, hidden):
        return F.rms_norm(hidden, hidden.shape[-1:], 1 + self.weight, self.eps)


@pytest.mark.parametrize("old", [nn.RMSNorm(4), nn.RMSNorm(4, eps=0.1), ShiftedRMSNorm(4)], ids=repr)
def test_rms_for_an_rms_norm_is_the_same_function(old):
    model = nn.Sequential(_trained(old))
    new, x = ns.replace_norms(model, "rms"), torch.randn(2, 5, 4)
    torch.testing.assert_close(new(x), model(x))


def test_groups_are_kept():
    old, x = nn.Sequential(_trained(nn.GroupNorm(4, 8))), torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(ns.replace_norms(old, "group")(x), old(x))


@pytest.mark.parametrize("spec", ["layer", "group(groups=2)", "rms", "dyt"])
def test_under_channels_last_a_token_sees_itself_only(spec):
    (new,) = ns.replace_norms(nn.Sequential(nn.LayerNorm(4)), spec).double()
    x = torch.randn(2, 7, 4, dtype=torch.float64)
    wanted = torch.stack([new(x[:, i : i + 1])[:, 0] for i in range(7)], 1)
    torch.testing.assert_close(new(x), wanted)


@pytest.mark.parametrize("spec", ["batch", "instance", "layer", "rms"])
def test_a_norm_of_the_last_dimension_returns_what_a_view_takes(spec):
    (new,) = ns.replace_norms(nn.Sequential(nn.LayerNorm(4)), spec)
    assert new(torch.randn(2, 7, 4)).view(2, 28).shape == (2, 28)


def test_each_position_of_an_image_is_normalized_by_itself_where_the_old_norm_did_so():
    (new,) = ns.replace_norms(nn.Sequential(PixelLayerNorm(4)), "rms")
    assert type(new) is EachPosition
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(new(x), F.rms_norm(x.movedim(1, -1), (4,), eps=1e-5).movedim(-1, 1))


ENCODER = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
OPERATIONS = {
    "batch": lambda m, x: ns.replace_norms(m, "batch"),
    "layer": lambda m, x: ns.replace_norms(m, "layer"),
    "remove": lambda m, x: ns.remove_norms(m),
    "calibrate": lambda m, x: ns.calibrate(ns.replace_norms(m, "batch"), [x]),
    "insert": lambda m, x: ns.insert_norms(m, lambda C: nn.BatchNorm1d(C), layers=["layers.0.linear1"], x=x),
}


@pytest.mark.parametrize("operate", OPERATIONS.values(), ids=OPERATIONS)
def test_an_encoders_fast_path_computes_what_its_modules_compute(operate):
    model = nn.TransformerEncoder(ENCODER, 2).eval()
    x, mask = (
        torch.randn(3, 5, 8),
        torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] * 4 + [True]]),
    )
    new = operate(model, x).eval()
    with torch.no_grad():
        fast = new(x, src_key_padding_mask=mask)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            slow = new(x, src_key_padding_mask=mask)
        finally:
            torch.backends.mha.set_fastpath_enabled(True)
    torch.testing.assert_close(fast[~mask], slow[~mask])


class SequenceLayerNorm(nn.LayerNorm):
    """Takes (N, C, L), as SqueezeBERT's."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class ScaledNorm(nn.Module):
    """Only a gain and a bias over features, as MobileBERT's ``NoNorm``."""

    def __init__(self, features):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x):
        return x * self.weight + self.bias


class ShiftedLayerNorm(nn.LayerNorm):
    """A layer norm whose gain is 1 + weight, as Nemotron's."""

    def forward(self, x):
        return F.layer_norm(x, self.normalized_shape, 1 + self.weight, self.bias, self.eps)


class ShiftedBatchNorm(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x) + F.batch_norm(x, self.running_mean, self.running_var, eps=self.eps)


def test_a_norm_of_somebody_else_has_its_channels_where_it_takes_them():
    assert [channels_last(norm) for norm in (SequenceLayerNorm(4), ScaledNorm(4), PixelLayerNorm(4))] == [
        False,
        True,
        False,
    ]
    x = torch.randn(2, 4, 7)
    old = nn.Sequential(_trained(SequenceLayerNorm(4)))
    torch.testing.assert_close(ns.replace_norms(old, "layer")(x), old(x))
    assert ns.replace_norms(old, "batch")(x).shape == x.shape


def test_the_gain_of_a_norm_of_somebody_else_is_measured():
    x, images = torch.randn(2, 5, 4), torch.randn(2, 4, 3, 3)
    layer, batch = (
        nn.Sequential(_trained(ShiftedLayerNorm(4))),
        nn.Sequential(_trained(ShiftedBatchNorm(4))).eval(),
    )
    batch[0].running_mean.uniform_()
    torch.testing.assert_close(ns.replace_norms(layer, "layer")(x), layer(x))
    torch.testing.assert_close(ns.replace_norms(batch, "batch")(images), batch(images))


@pytest.mark.parametrize("spec", ["layer", "group(groups=1)", "rms"])
def test_a_linear_layer_of_one_feature_gets_no_norm_of_features(spec):
    model, x = nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(5, 3)
    with pytest.warns(NormscopeWarning, match="'0' .*one feature, of which a norm would leave nothing"):
        new = ns.insert_norms(model, spec, x=x)
    assert [change.name for change in changes(new) if change.action == "inserted"] == ["1.norm"]
    with pytest.raises(InputError, match=r"layer '0' cannot get a .*one feature"):
        ns.insert_norms(model, spec, layers=["0"], x=x)


@pytest.mark.parametrize("batch_first", [True, False])
def test_an_instance_norm_keeps_the_samples_of_a_transformer_apart(batch_first):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=batch_first)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    x, other = torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    other[0] = x[0]
    turn = (lambda one: one) if batch_first else (lambda one: one.transpose(0, 1))
    new = ns.replace_norms(model, "instance")
    torch.testing.assert_close(turn(new(turn(x)))[0], turn(new(turn(other)))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NormscopeWarning)  # the output projection is used without a call
        new = ns.insert_norms(ns.remove_norms(model), "instance", x=turn(x))
    torch.testing.assert_close(turn(new(turn(x)))[0], turn(new(turn(other)))[0])


@pytest.mark.parametrize("spec", ["batch", "layer", "rms", "dyt", "instance"])
def test_a_residual_in_single_precision_passes_a_norm_in_half_precision(spec):
    (new,) = ns.replace_norms(nn.Sequential(nn.RMSNorm(4, eps=1e-5)).bfloat16(), spec)
    x = torch.randn(2, 7, 4)
    wanted = ns.replace_norms(nn.Sequential(nn.RMSNorm(4, eps=1e-5)), spec)(x)
    assert new(x).dtype == torch.float32
    torch.testing.assert_close(new(x), wanted, rtol=0.03, atol=0.03)
