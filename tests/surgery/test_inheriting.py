"""What a new norm takes over from a norm that somebody else has written, and from norms that share parameters."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import normscope as ns
from normscope.nn.module_kinds import channels_last, norms
from normscope.surgery import changes


class ScaleAndOffsetNorm(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(count) + 1)
        self.offset = nn.Parameter(torch.randn(count))
        self.eps = 1e-6

    def forward(self, x):
        var, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
        return (x - mean) / (var + self.eps).sqrt() * self.scale + self.offset


class GainNorm(nn.Module):
    """An RMS norm that takes any arguments."""

    def __init__(self, *args, **settings):
        super().__init__()
        self.g = nn.Parameter(torch.rand(*args) + 1)
        self.eps = settings["eps"]

    def forward(self, *args, **kwargs):
        (x,) = args
        return x / (x.square().mean(-1, keepdim=True) + self.eps).sqrt() * self.g


class LouderNorm(nn.LayerNorm):
    def __call__(self, x):
        return 3 * super().__call__(x)


@pytest.mark.parametrize(
    ("norm", "spec"),
    [
        (ScaleAndOffsetNorm(6), "layer"),
        (GainNorm(6, eps=1e-6), "rms"),
        (LouderNorm(6), "layer"),
    ],
    ids=["other names", "any arguments", "own __call__"],
)
def test_the_gain_and_the_bias_are_taken_over_whatever_their_names_are(norm, spec):
    x = torch.randn(2, 5, 6)
    model = nn.Sequential(norm)
    torch.testing.assert_close(ns.replace_norms(model, spec)(x), model(x))


@pytest.mark.parametrize("count", [1, 6, 768, 8192])
def test_a_wide_norm_is_tried_on_few_numbers(count, monkeypatch):
    sizes = []
    original = GainNorm.forward

    def forward(self, *args):
        sizes.append(args[0].numel())
        return original(self, *args)

    monkeypatch.setattr(GainNorm, "forward", forward)
    norm = GainNorm(count, eps=1e-6)
    assert count == 1 or channels_last(norm)
    ns.replace_norms(nn.Sequential(norm), "rms")
    assert max(sizes) <= 100 * count


def test_a_pruned_norm_is_tried_with_its_pruned_gain():
    model = nn.Sequential(LouderNorm(6))
    nn.init.normal_(model[0].weight)
    prune.random_unstructured(model[0], "weight", 0.5)
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(ns.replace_norms(model, "layer")(x), model(x))


def test_parameters_that_norms_share_with_each_other_and_the_model_stay_shared():
    model = nn.Sequential(nn.LayerNorm(4), nn.LayerNorm(4))
    model[1].weight = model.alias = model[0].weight
    old = model[0].weight
    new = ns.replace_norms(model, "layer")
    assert new[0].weight is new[1].weight
    assert new[0].weight is new.alias
    assert new[0].bias is not new[1].bias
    assert model[0].weight is old
    assert new[0].weight is not old
    assert sum(p.numel() for p in new.parameters()) == sum(p.numel() for p in model.parameters())


def test_a_root_mean_square_over_images_keeps_a_gain_of_every_value():
    x = torch.randn(2, 3, 4, 4)
    norm = nn.RMSNorm((3, 4, 4))
    nn.init.normal_(norm.weight)
    torch.testing.assert_close(ns.replace_norms(norm, "rms")(x), norm(x))
    assert ns.replace_norms(norm, "layer")(x).shape == x.shape


@pytest.mark.parametrize("operate", [lambda m: ns.replace_norms(m, "batch"), ns.remove_norms])
def test_the_record_says_that_hooks_are_gone_with_their_norm(operate):
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    plain = copy.deepcopy(model)
    model[1].register_forward_hook(lambda module, args, output: 2 * output)
    assert [change.reason for change in changes(operate(model))] == ["", "the old norm's hooks are gone"]
    assert [change.reason for change in changes(operate(plain))] == ["", ""]


def test_a_hook_that_computes_a_weight_needs_no_word():
    norm = nn.BatchNorm2d(3)
    prune.random_unstructured(norm, "weight", 0.5)
    assert changes(ns.replace_norms(norm, "batch"))[0].reason == ""


def test_the_record_says_that_an_instance_norm_loses_its_running_statistics():
    old = nn.Sequential(nn.InstanceNorm2d(3, track_running_stats=True), nn.InstanceNorm2d(3))
    said = [change.reason for change in changes(ns.replace_norms(old, "instance"))]
    assert said == [
        "in evaluation mode, it measures its input; the old norm used its running statistics",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("NormalLayer", False),
        ("AbnormalBlock", False),
        ("Enormous", False),
        ("NormalNorm", True),
        ("BatchNormalization", True),
        ("LayerNormalisation", True),
        ("RMSnorm", True),
    ],
)
def test_a_class_is_no_norm_for_a_word_that_contains_the_letters(name, is_one):
    kind = type(name, (GainNorm,), {})
    assert (len(list(norms(kind(6, eps=1e-6)))) == 1) is is_one
