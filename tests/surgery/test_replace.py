import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import InputError, NormscopeWarning, UnknownNameError
from normscope.nn.module_kinds import core, norms
from normscope.surgery import ChannelsLast, changes


class FrozenBatchNorm2d(nn.Module):
    """A look-alike: buffers only, and no base class of the framework's norms."""

    def __init__(self, n):
        super().__init__()
        for name, value in (("weight", 2.0), ("bias", 1.0), ("running_mean", 0.5), ("running_var", 4.0)):
            self.register_buffer(name, torch.full((n,), value))

    def forward(self, x):
        scale = (self.weight / (self.running_var + 1e-5).sqrt())[:, None, None]
        return x * scale + (self.bias[:, None, None] - self.running_mean[:, None, None] * scale)


class LogNorm(nn.Module):
    """A user's own norm with a p-th moment for a second statistic."""

    def __init__(self, n, p):
        super().__init__()
        self.p = p
        self.register_buffer("running_mean", torch.zeros(n))
        self.register_buffer("running_var", torch.ones(n))


def test_every_norm_of_any_model_becomes_the_specs_and_the_model_runs(built, output):
    model, x = built
    before = [name for name, _ in norms(model)]
    new = ns.replace_norms(model, "suppress(threshold=2)")
    after = dict(norms(new))
    assert list(after) == before
    assert before
    assert {type(core(norm)) for norm in after.values()} == {ns.nn.SuppressNorm}
    assert {core(norm).rule.above for norm in after.values()} == {2.0}
    assert output(new, x).isfinite().all()


def test_batch_norm_for_batch_norm_is_the_same_function_with_the_same_state(built, output):
    model, x = built
    new = ns.replace_norms(model, "batch")
    torch.testing.assert_close(output(new, x), output(model, x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(output(new.train(), x), output(model.train(), x), rtol=1e-5, atol=1e-5)
    ours, theirs = new.state_dict(), model.state_dict()
    assert all(torch.allclose(ours[key], value) for key, value in theirs.items())


@pytest.mark.parametrize(
    ("spec", "eps", "momentum"),
    [("batch", 1e-3, None), ("batch(eps=1e-5)", 1e-5, None), ("amplify(momentum=0.2)", 1e-3, 0.2)],
)
def test_eps_and_momentum_are_the_old_norms_unless_the_spec_names_them(spec, eps, momentum):
    (new,) = ns.replace_norms(nn.Sequential(nn.BatchNorm2d(4, eps=1e-3, momentum=None)), spec)
    assert (new.eps, new.momentum) == (eps, momentum)


@pytest.mark.parametrize(
    "norm",
    [nn.BatchNorm1d(4), nn.BatchNorm3d(4), nn.SyncBatchNorm(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True),
     FrozenBatchNorm2d(4), ns.nn.AmplifyNorm(4), nn.LayerNorm((4, 5, 5))],
    ids=lambda norm: type(norm).__name__,
)  # fmt: skip
def test_every_kind_of_norm_over_channels_is_replaced(norm):
    (new,) = ns.replace_norms(nn.Sequential(norm), "batch")
    assert type(new) is ns.nn.BatchNorm
    assert new.num_features == 4


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(4, 4, 1), nn.LocalResponseNorm(2), nn.ReLU(), nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_a_module_that_is_not_a_norm_over_channels_stays(layer):
    with pytest.warns(
        NormscopeWarning, match="replace_norms found no norm in Sequential, so nothing was done"
    ):
        new = ns.replace_norms(nn.Sequential(layer), "batch")
    assert type(new[0]) is type(layer)
    assert all(change.action == "skipped" for change in changes(new))


def test_a_layer_norm_over_features_becomes_a_norm_of_the_last_dimension():
    x = torch.randn(5, 7, 3)
    (new,) = ns.replace_norms(nn.Sequential(nn.LayerNorm(3)), "batch")
    flat = x.reshape(-1, 3)
    wanted = (flat - flat.mean(0)) / (flat.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(new.train()(x), wanted.view_as(x))


def test_the_layer_norm_spec_is_layer_norm_for_samples_of_features():
    old = nn.Sequential(nn.LayerNorm(6))
    nn.init.normal_(old[0].weight)
    x = torch.randn(4, 6)
    torch.testing.assert_close(ns.replace_norms(old, "layer")(x), old(x))


def test_a_channels_last_norm_is_itself_replaced_as_one_norm():
    once = ns.replace_norms(nn.Sequential(nn.LayerNorm(6)), "batch")
    (twice,) = ns.replace_norms(once, "group(groups=3)")
    assert isinstance(twice, ChannelsLast)
    assert isinstance(twice.norm, nn.GroupNorm)


def test_parameters_and_statistics_are_taken_where_names_and_shapes_agree():
    old = nn.Sequential(FrozenBatchNorm2d(3))
    (new,) = ns.replace_norms(old, "batch")
    assert new.weight.tolist() == [2.0] * 3
    assert new.running_var.tolist() == [4.0] * 3
    (group,) = ns.replace_norms(old, "group(groups=1)")
    assert group.bias.tolist() == [1.0] * 3


def test_a_p_th_moment_is_not_taken_for_a_variance():
    old = nn.Sequential(FrozenBatchNorm2d(3))
    (new,) = ns.replace_norms(old, lambda C: LogNorm(C, p=3.0))
    assert new.running_var.tolist() == [1.0] * 3
    (same,) = ns.replace_norms(old, lambda C: LogNorm(C, p=2.0))
    assert same.running_var.tolist() == [4.0] * 3


def test_type_mode_and_frozenness_are_kept():
    old = nn.Sequential(nn.BatchNorm2d(3), nn.InstanceNorm2d(3), nn.Conv2d(3, 3, 1)).double()
    old[0].eval()
    old[0].weight.requires_grad_(False)
    first, second, _ = ns.replace_norms(old, "batch")
    assert first.weight.dtype == second.weight.dtype == torch.float64
    assert (first.training, second.training) == (False, True)
    assert (first.weight.requires_grad, first.bias.requires_grad) == (False, True)


def test_a_shared_norm_stays_shared():
    norm = nn.BatchNorm1d(4)
    new = ns.replace_norms(nn.Sequential(norm, nn.ReLU(), norm), "amplify")
    assert new[0] is new[2]
    assert len(changes(new)) == 1


def test_a_model_that_is_a_norm_is_replaced():
    assert isinstance(ns.replace_norms(nn.BatchNorm2d(3), "amplify"), ns.nn.AmplifyNorm)


def test_the_new_model_tells_what_was_replaced_by_what():
    model = ns.networks.lenet("batch")
    told = changes(ns.replace_norms(ns.replace_norms(model, "amplify"), "suppress"))
    assert [(c.action, c.name, c.norm, c.other) for c in told] == [
        ("replaced", "norm1", "BatchNorm of 6", "AmplifyNorm of 6"),
        ("replaced", "norm2", "BatchNorm of 16", "AmplifyNorm of 16"),
        ("replaced", "norm1", "AmplifyNorm of 6", "SuppressNorm of 6"),
        ("replaced", "norm2", "AmplifyNorm of 16", "SuppressNorm of 16"),
    ]
    assert str(told[0]) == "replaced norm1 (BatchNorm of 6) by AmplifyNorm of 6"
    assert changes(model) == ()


def test_a_norm_that_cannot_be_built_names_the_layer():
    with pytest.raises(InputError, match=r"'norm1'.*cannot split 6 channels into 4 groups"):
        ns.replace_norms(ns.networks.lenet("batch"), "group(groups=4)")


def test_a_misspelt_norm_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"did you mean batch"):
        ns.replace_norms(nn.Sequential(), "bacth")


@pytest.mark.parametrize("spec", [3, None])
def test_a_spec_of_another_type_is_refused(spec):
    with pytest.raises(InputError, match=r"a spec such as 'batch' or a callable"):
        ns.replace_norms(nn.Sequential(), spec)


def test_a_lazy_model_is_refused():
    with pytest.raises(InputError, match=r"lazy layers.*run it once"):
        ns.replace_norms(nn.Sequential(nn.LazyBatchNorm2d()), "batch")


def test_removing_leaves_identities_and_the_other_layers_function(built, output):
    model, x = built
    new = ns.remove_norms(model)
    assert not list(norms(new))
    for _, norm in norms(model):  # a hook that undoes the norm makes the same function
        norm.register_forward_hook(lambda module, args, y: args[0])
    torch.testing.assert_close(output(new, x), output(model, x))
    assert [c.name for c in changes(new)[-len(list(norms(model))) :]] == [name for name, _ in norms(model)]


@pytest.mark.parametrize("operate", [ns.replace_norms, ns.insert_norms])
def test_a_callable_that_makes_the_same_norm_twice_is_refused(operate):
    model = nn.Sequential(*[nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)) for _ in range(3)])
    own = nn.BatchNorm2d(4)
    with pytest.raises(InputError, match="the callable made the same BatchNorm2d twice"):
        operate(model, lambda count: own)


@pytest.mark.parametrize("operate", [ns.replace_norms, ns.insert_norms])
def test_a_callable_that_makes_no_module_is_refused(operate):
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    with pytest.raises(InputError, match="made a list; it must make"):
        operate(model, lambda count: [count])
