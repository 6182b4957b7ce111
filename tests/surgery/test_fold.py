import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError
from normscope.nn.module_kinds import norms
from normscope.surgery import changes


class Wired(nn.Module):
    """A model whose forward pass a test provides; its layers are attributes."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.steps = [forward]  # in a list, so that a copy keeps the function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.steps[0](self, x)


class StandardizedConv2d(nn.Conv2d):
    """Its weights are standardized before use, so that scaling them changes nothing."""

    def forward(self, x):
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True)
        return F.conv2d(x, w, self.bias, self.stride, self.padding)


class DoubledConv2d(nn.Conv2d):
    """Linear in its weights, but its bias counts twice."""

    def forward(self, x):
        return 2 * super().forward(x)


class CountingConv2d(nn.Conv2d):
    """A user's subclass that still computes a convolution."""

    def forward(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        return super().forward(x)


def test_the_folded_network_equals_the_original_in_evaluation_mode_without_norms(built, output, off):
    model, x = built
    new = ns.fold(model.train())
    assert not list(norms(new))
    assert not new.training
    assert off(output(new, x), output(model.eval(), x)) < 1e-5


def test_in_double_precision_the_folded_network_is_exact(built, output, off):
    model, x = built
    model, x = model.double(), x.double()
    assert off(output(ns.fold(model), x), output(model, x)) < 1e-13


def test_the_folded_weights_are_the_closed_form(lived_in):
    model = lived_in(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=0.1))).double()
    (conv, norm), new = model, ns.fold(model)
    a = norm.weight / (norm.running_var + 0.1).sqrt()
    torch.testing.assert_close(new[0].weight, conv.weight * a[:, None, None, None])
    torch.testing.assert_close(new[0].bias, a * (conv.bias - norm.running_mean) + norm.bias)


@pytest.mark.parametrize(
    "spec", ["amplify(threshold=1)", "suppress(threshold=1)", "batch(rescale=False)", "batch(center=False)"]
)
def test_gated_and_partial_norms_fold_by_their_running_statistics(spec, lived_in, output, off):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), *(ns.replace_norms(nn.Sequential(nn.BatchNorm2d(8)), spec)))
    lived_in(model)
    norm = model[1]
    power = norm.running_var + norm.running_mean**2
    assert 0 < (power < 1).sum() < 8  # both sides of the gate
    x = torch.randn(4, 3, 6, 6)
    assert off(output(ns.fold(model), x), output(model, x)) < 1e-5


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Conv1d(4, 6, 3, groups=2), nn.BatchNorm1d(6), (2, 4, 9)),
        (nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4), (2, 2, 4, 4, 4)),
        (nn.ConvTranspose1d(4, 6, 3, groups=2, bias=False), nn.BatchNorm1d(6), (2, 4, 9)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1), nn.BatchNorm2d(6), (2, 4, 5, 5)),
        (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(6), (2, 4, 5, 5)),
        (nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6), (5, 4)),
        (nn.Conv1d(4, 6, 1), nn.InstanceNorm1d(6, affine=True, track_running_stats=True), (5, 4, 3)),
        (CountingConv2d(4, 6, 3), nn.BatchNorm2d(6), (2, 4, 5, 5)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_linear_layer_takes_over_the_norm_after_it(layer, norm, shape, lived_in, output, off):
    model = lived_in(nn.Sequential(layer, norm))
    x = torch.randn(shape)
    new = ns.fold(model, x)
    assert off(output(new, x), output(model, x)) < 1e-5
    assert not list(norms(new))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 6, 1, padding="same", bias=False),
        nn.Conv2d(4, 6, 3, padding="valid"),
    ],
    ids=str,
)
def test_a_layer_that_does_not_pad_with_zeros_takes_over_the_norm_before_it(layer, lived_in, output, off):
    model = lived_in(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), layer))
    x = torch.randn(2, 4, 6, 6)
    new = ns.fold(model)
    assert off(output(new, x), output(model, x)) < 1e-5
    assert [(c.name, c.other) for c in changes(new)] == [("1", "2")]


def test_a_norm_without_shift_goes_into_a_padding_layer_too(output, off):
    for layer in (nn.Conv2d(4, 6, 3, padding=1), nn.ConvTranspose2d(4, 6, 3, groups=2)):
        norm = nn.BatchNorm2d(4)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        model = nn.Sequential(nn.ReLU(), norm, layer).eval()
        x = torch.randn(2, 4, 6, 6)
        assert off(output(ns.fold(model), x), output(model, x)) < 1e-5


def test_norms_in_a_row_fold_one_after_another(lived_in, output, off):
    model = lived_in(
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Identity(), nn.Dropout(), nn.BatchNorm1d(4))
    )
    x = torch.randn(5, 3)
    assert off(output(ns.fold(model), x), output(model, x)) < 1e-5


def test_a_block_called_twice_folds_since_its_norm_has_one_producer(lived_in, output, off):
    def forward(self, x):
        for _ in range(2):
            x = torch.relu(self.norm(self.conv(x)))
        return x

    model = lived_in(Wired(forward, conv=nn.Conv2d(3, 3, 1), norm=nn.BatchNorm2d(3)))
    x = torch.randn(2, 3, 4, 4)
    assert off(output(ns.fold(model), x), output(model, x)) < 1e-5


@pytest.mark.parametrize("symbolic", [True, False])
@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda m, x: m.norm(m.conv(x)) + m.norm2(m.conv(x)), r"'norm'.*output of 'conv' also goes to 'norm2'"),
        (lambda m, x: (lambda c: c + m.norm(c))(m.conv(x)), r"'norm'.*output of 'conv' also goes to add"),
        (lambda m, x: m.norm(m.conv(x)) + m.norm(m.other(x)), r"'norm'.*from 'conv' and 'other', not one"),
        (lambda m, x: m.other(torch.relu(m.norm(torch.relu(m.conv(x))))), r"'norm'.*comes from relu.*goes to relu"),
        (lambda m, x: m.norm(m.conv(x).relu_()), r"'norm'.*comes from relu"),
        (lambda m, x: m.norm(x), r"'norm'.*the model's input.*the model's output"),
        (lambda m, x: m.other(m.norm(m.conv(x).abs())), r"'norm'.*comes from abs.*pads it with zeros"),
        (lambda m, x: m.norm(m.conv(x)) * m.conv.weight.sum(), r"'norm'.*parameters of 'conv' are used elsewhere"),
    ],
)  # fmt: skip
def test_a_norm_without_one_producer_is_refused_by_name(forward, reason, symbolic, lived_in):
    def wired(m, x):
        return forward(m, x) if symbolic or x.shape[0] < 1e9 else x

    layers = {"conv": nn.Conv2d(3, 3, 1), "other": nn.Conv2d(3, 3, 3, padding=1), "norm": nn.BatchNorm2d(3)}
    if "norm2" in reason:
        layers["norm2"] = nn.BatchNorm2d(3)
    with pytest.raises(InputError, match=reason):
        ns.fold(lived_in(Wired(wired, **layers)))


def test_a_change_in_place_through_a_view_is_seen(lived_in):
    def forward(m, x):
        y = m.conv(x)
        y.view(-1).clamp_(min=0)
        return m.norm(y) if x.shape[0] < 1e9 else x

    with pytest.raises(InputError, match=r"'norm'.*comes from clamp"):
        ns.fold(lived_in(Wired(forward, conv=nn.Conv2d(3, 3, 1), norm=nn.BatchNorm2d(3))))


@pytest.mark.parametrize(
    "norm",
    [nn.BatchNorm2d(4, track_running_stats=False), nn.GroupNorm(2, 4), nn.GroupNorm(4, 4), nn.InstanceNorm2d(4),
     nn.LayerNorm((4, 6, 6)), nn.LayerNorm(4), ns.nn.BatchNorm(4, track_running_stats=False)],
    ids=str,
)  # fmt: skip
def test_a_norm_that_looks_at_its_input_in_evaluation_mode_is_refused_by_name(norm):
    with pytest.raises(InputError, match=r"norm '1'.*looks at its input"):
        ns.fold(nn.Sequential(nn.Conv2d(3, 4, 1), norm))


@pytest.mark.parametrize("kind", [StandardizedConv2d, DoubledConv2d])
def test_a_layer_that_does_other_things_with_its_weights_is_refused(kind, lived_in):
    with pytest.raises(
        InputError, match=f"'1'.*{kind.__name__}.*does not use its weights as its base class does"
    ):
        ns.fold(lived_in(nn.Sequential(kind(3, 4, 3), nn.BatchNorm2d(4))))


def test_a_computed_weight_is_refused(lived_in):
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    with pytest.raises(InputError, match=r"'1'.*weight of '0' is computed"):
        ns.fold(lived_in(nn.Sequential(conv, nn.BatchNorm2d(4))))


def test_tied_weights_are_refused(lived_in):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 3))
    model[3].weight = model[0].weight
    with pytest.raises(InputError, match=r"'1'.*parameters of '0' are used elsewhere"):
        ns.fold(lived_in(model))


def test_a_hook_between_layer_and_norm_is_refused(lived_in):
    for place in (0, 1):
        model = lived_in(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))
        model[place].register_forward_hook(lambda module, args, y: y * 2)
        with pytest.raises(InputError, match=r"'1'.*hook"):
            ns.fold(model)


def test_a_hook_on_a_block_is_followed(lived_in):
    model = lived_in(nn.Sequential(nn.Sequential(nn.Linear(3, 3)), nn.BatchNorm1d(3)))
    model[0].register_forward_hook(lambda module, args, y: torch.relu(y))
    with pytest.raises(InputError, match=r"'1'.*comes from relu"):
        ns.fold(model)


def test_a_hook_on_a_module_that_passes_its_input_on_is_followed(lived_in):
    model = lived_in(nn.Sequential(nn.Linear(3, 3), nn.Identity(), nn.BatchNorm1d(3)))
    model[1].register_forward_hook(lambda module, args, y: torch.relu(y))
    with pytest.raises(InputError, match=r"'2'.*comes from relu"):
        ns.fold(model)


def test_a_layer_that_takes_other_inputs_too_does_not_take_over_the_norm_before_it(lived_in):
    model = Wired(lambda m, x: m.conv(m.norm(x)) + m.conv(x), conv=nn.Conv2d(3, 3, 1), norm=nn.BatchNorm2d(3))
    with pytest.raises(
        InputError, match=r"'norm'.*'conv', which uses its output, also uses that of the model's"
    ):
        ns.fold(lived_in(model))


def test_a_norm_over_positions_is_not_taken_for_one_over_features(lived_in):
    model = lived_in(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)))
    with pytest.raises(InputError, match=r"'1'.*another dimension"):
        ns.fold(model, torch.randn(2, 4, 5))
    assert not list(norms(ns.fold(model, torch.randn(2, 5))))


def test_a_norm_that_is_never_called_is_refused(lived_in):
    with pytest.raises(InputError, match=r"'norm'.*never calls it"):
        ns.fold(lived_in(Wired(lambda m, x: m.fc(x), fc=nn.Linear(3, 3), norm=nn.BatchNorm1d(3))))


def test_where_no_input_can_be_guessed_one_is_asked_for_and_used(lived_in, output, off):
    def forward(m, x):
        if x.shape[-1] != 12:
            raise ValueError("images of 12 pixels only")
        return m.norm(m.conv(x))

    model = lived_in(Wired(forward, conv=nn.Conv2d(3, 4, 1), norm=nn.BatchNorm2d(4)))
    with pytest.raises(InputError, match=r"12 pixels only.*give an example input x"):
        ns.fold(model)
    x = torch.randn(2, 3, 12, 12)
    assert off(output(ns.fold(model, x), x), output(model, x)) < 1e-5


def test_nan_statistics_flow_through(lived_in, output):
    model = lived_in(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)))
    model[1].running_mean[0] = torch.nan
    y = output(ns.fold(model), torch.randn(2, 1, 3, 3))
    assert y[:, 0].isnan().all()
    assert y[:, 1].isfinite().all()
