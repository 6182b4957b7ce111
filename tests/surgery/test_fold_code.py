"""Folding models whose code does more than call modules one after another."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from wired import Wired, checked_fold

import normscope as ns
from normscope.errors import InputError, NormscopeWarning
from normscope.nn.module_kinds import norms
from normscope.surgery import changes

IMAGES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("looks", "by"),
    [
        (lambda x: x.mean() < 5, "item"),
        (lambda x: x.mean().item() < 5, "item"),
        (lambda x: float(x.relu().sum()) < 1e9, "item"),
        (lambda x: not torch.equal(x, x + 1), "equal"),
        (lambda x: torch.allclose(x, x), "allclose"),
        (lambda x: len(x.nonzero()) > 0, "nonzero"),
        (lambda x: len(x[x > 0]) > 0, "index"),
        (lambda x: len(x.unique()) > 1, "unique2"),
        (lambda x: sum(x.flatten().tolist()) < 1e9, "tolist"),
        (lambda x: x.numpy().sum() < 1e9, "numpy"),
        (lambda x: 1e9 not in x, "item"),
    ],
    ids=["bool", "item", "float", "equal", "allclose", "nonzero", "mask", "unique", "tolist", "numpy", "in"],
)
def test_code_that_looks_at_the_values_of_the_input_needs_an_example(looks, by, lived_in):
    model = lived_in(Wired(lambda m, x: m.norm(m.conv(x)) if looks(x) else m.conv(x)))
    with pytest.raises(
        InputError, match=rf"looks at the values of its input \({by}\).*give an example input x"
    ):
        ns.fold(model)
    checked_fold(model, IMAGES, given=IMAGES)


@pytest.mark.parametrize(
    "harmless",
    [
        lambda m, x: len(x) > 0,
        lambda m, x: bool(m.scale > 0),
        lambda m, x: int(torch.arange(x.shape[0]).sum()) >= 0,
        lambda m, x: x[:, torch.tensor([0, 2])].shape[1] == 2,
    ],
    ids=["shape", "parameter", "counter", "numbers as index"],
)
def test_code_that_looks_at_other_values_needs_no_example(harmless, lived_in):
    def forward(m, x):
        return m.norm(m.conv(x)) if harmless(m, x) and len(x) < 1e9 else x

    model = lived_in(Wired(forward, scale=nn.Parameter(torch.ones(()))))
    checked_fold(model, IMAGES)


def test_the_name_of_the_block_that_looks_is_told(lived_in):
    block = Wired(lambda m, x: m.norm(m.conv(x)) if x.sum() < 1e9 else x)
    with pytest.raises(InputError, match=r"item in '1'"):
        ns.fold(lived_in(nn.Sequential(nn.ReLU(), block)))


@pytest.mark.parametrize("observed", [False, True])
def test_weights_used_without_calling_their_module_are_named(observed, lived_in):
    def functional_conv(m, x):
        y = m.norm(F.conv2d(x, m.conv.weight, m.conv.bias))
        return y if not observed or len(x) < 1e9 else x

    def functional_norm(m, x):
        y = m.norm.forward(m.conv(x))
        return y if not observed or len(x) < 1e9 else x

    with pytest.raises(
        InputError, match=r"'norm'.*with the weights of 'conv', which are used without calling it"
    ):
        ns.fold(lived_in(Wired(functional_conv)))
    with pytest.raises(InputError, match=r"'norm'.*uses its weights or statistics without calling it"):
        ns.fold(lived_in(Wired(functional_norm)))


def layer_norm_of(x):
    return F.layer_norm(x, x.shape[-1:]) if len(x) < 1e9 else x


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.batch_norm(x, torch.zeros(3), torch.ones(3)),
        lambda x: F.group_norm(x, 3),
        lambda x: F.instance_norm(x),
        lambda x: F.rms_norm(x, (4,)),
        layer_norm_of,
        lambda x: torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[0],
    ],
    ids=["batch_norm", "group_norm", "instance_norm", "rms_norm", "layer_norm", "batch_norm of torch"],
)
def test_a_norm_by_a_function_stays_and_is_named(function, output, off, lived_in):
    model = lived_in(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), Wired(lambda m, x: function(x))))
    del model[2].norm
    with pytest.warns(NormscopeWarning, match=r"fold left as it is '2' \(Wired: its code calls \w+_norm"):
        new = ns.fold(model)
    assert off(output(new, IMAGES), output(model, IMAGES)) < 1e-5
    assert [(c.action, c.name) for c in changes(new)] == [("folded", "1"), ("skipped", "2")]


@pytest.mark.parametrize(
    "surgery", [ns.fold, lambda m: ns.equivalent_network(m, IMAGES)], ids=["fold", "equivalent"]
)
def test_a_model_without_norms_stays_as_it_is_with_a_warning(surgery):
    model = nn.Sequential(nn.Conv2d(3, 3, 1)).eval()
    with pytest.warns(NormscopeWarning, match="found no norm"):
        new = surgery(model)
    torch.testing.assert_close(new(IMAGES), model(IMAGES), rtol=0, atol=0)


@pytest.mark.parametrize("observed", [False, True])
def test_a_later_change_in_place_does_not_reach_a_folded_norms_output(observed, lived_in):
    def forward(m, x):
        y = F.max_pool2d(x, 1)
        z = m.norm(y)
        y.relu_()
        return m.conv(z) + y if not observed or len(x) < 1e9 else x

    checked_fold(lived_in(Wired(forward)), IMAGES)


def test_values_that_leave_torch_count_as_a_use(lived_in):
    def forward(m, x):
        y = m.conv(x)
        return m.norm(y), torch.from_numpy(y.numpy().copy())

    with pytest.raises(InputError, match=r"'norm'.*output of 'conv' also goes to .*numpy"):
        ns.fold(lived_in(Wired(forward)), IMAGES)


def test_a_wrong_graph_is_caught_by_running_both_networks(lived_in):
    def forward(m, x):
        y = m.conv(x)
        return m.norm(y.relu() if isinstance(x, torch.Tensor) else y)  # a symbol is no Tensor

    model = lived_in(Wired(forward))
    with pytest.raises(InputError, match=r"output on an example input is off by .* nothing was folded"):
        ns.fold(model)
    with pytest.raises(InputError, match=r"'norm'.*comes from relu"):
        ns.fold(model, IMAGES)


class Masked(nn.Module):
    """Calls another convolution if it gets a mask, which a symbol always is."""

    def __init__(self):
        super().__init__()
        self.masked, self.whole, self.norm = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x, mask=None):
        return self.norm(self.whole(x) if mask is None else self.masked(x) * 1)


def test_an_optional_input_is_given_or_not_as_in_the_example(lived_in):
    model = lived_in(Masked())
    with pytest.raises(InputError, match=r"'norm'.*comes from mul"):
        ns.fold(model)
    checked_fold(model, IMAGES, IMAGES)


def test_weights_given_for_one_call_are_not_taken_for_the_layers_own(lived_in):
    weight = torch.randn(3, 3, 1, 1)
    block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    model = Wired(lambda m, x: torch.func.functional_call(m.block, {"0.weight": weight}, x), block=block)
    del model.norm, model.conv
    for given in (None, IMAGES):
        with pytest.raises(InputError, match="output on an example input is off by"):
            ns.fold(lived_in(model), given)


def test_code_that_needs_the_norm_itself_is_refused(lived_in):
    model = Wired(lambda m, x: m.norm(m.conv(x)) * m.norm.eps)
    with pytest.raises(InputError, match=r"does not run on an example input \(AttributeError: .*'eps'\)"):
        ns.fold(lived_in(model))


def test_a_model_that_fixes_its_precision_is_checked_in_its_own(lived_in):
    model = lived_in(Wired(lambda m, x: m.norm(m.conv(x.float()))))
    checked_fold(model, IMAGES)


def test_a_model_that_draws_random_numbers_folds(lived_in, output, off):
    model = lived_in(Wired(lambda m, x: F.dropout(m.norm(m.conv(x)), 0.5, training=True)))
    torch.manual_seed(5)
    new = ns.fold(model)
    mine = output(new, IMAGES)  # surgery leaves the generator as it was
    torch.manual_seed(5)
    assert off(mine, output(model, IMAGES)) < 1e-5


def test_half_precision_weights_fold_to_within_their_rounding(lived_in, output, off):
    model = lived_in(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))).bfloat16()
    new, x = ns.fold(model), IMAGES.bfloat16()
    assert off(output(new, x).float(), output(model, x).float()) < 0.02


@pytest.mark.parametrize("where", ["root", "block", "in place"])
def test_a_compiled_model_folds_without_compilation(where, lived_in, output, off):
    def refuse(*args):
        raise AssertionError("compiled")

    plain = lived_in(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.ReLU())))
    wanted = output(plain, IMAGES)
    model = plain
    if where == "root":
        model = torch.compile(plain, backend=refuse)
    elif where == "block":
        model[2] = torch.compile(plain[2], backend=refuse)
    else:
        model[2].compile(backend=refuse)
    for given in (None, IMAGES):
        assert off(output(ns.fold(model, given), IMAGES), wanted) < 1e-5


def test_a_compiled_function_in_the_forward_pass_runs_eagerly(lived_in):
    def refuse(*args):
        raise AssertionError("compiled")

    double = torch.compile(lambda x: 2 * x, backend=refuse)
    model = lived_in(Wired(lambda m, x: double(m.norm(m.conv(x)))))
    assert not list(norms(ns.fold(model, IMAGES)))
