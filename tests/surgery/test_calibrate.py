import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import normscope as ns
from normscope.errors import InputError, NormscopeWarning
from normscope.nn.module_kinds import core, norms

KINDS = [nn.BatchNorm2d(3), ns.nn.BatchNorm(3), ns.nn.AmplifyNorm(3), ns.nn.SuppressNorm(3, momentum=None),
         nn.BatchNorm2d(3, momentum=None), nn.SyncBatchNorm(3)]  # fmt: skip


def by_channel(x):
    return x.double().transpose(0, 1).flatten(1)


def expected(batches):
    """The weighted averages of the batches' means and Bessel-corrected variances, in double precision."""
    values = [by_channel(x) for x in batches]
    count = sum(v.shape[1] for v in values)
    mean = sum(v.shape[1] * v.mean(1) for v in values) / count
    var = sum(v.shape[1] * v.var(1, correction=1) for v in values) / count
    return mean.float(), var.float()


@pytest.mark.parametrize("norm", KINDS, ids=str)
def test_even_batches_give_the_articles_statistics(norm):
    batches = [torch.randn(4, 3, 5, 5) * 3 + k for k in range(3)]
    (new,) = ns.calibrate(nn.Sequential(norm), batches)
    m = 4 * 5 * 5
    sigma2 = torch.stack([by_channel(x).var(1, correction=0) for x in batches])
    mu = torch.stack([by_channel(x).mean(1) for x in batches])
    torch.testing.assert_close(new.running_mean, mu.mean(0).float())
    torch.testing.assert_close(new.running_var, (m / (m - 1) * sigma2.mean(0)).float())


@pytest.mark.parametrize("norm", KINDS, ids=str)
def test_uneven_batches_count_by_their_size(norm):
    batches = [torch.randn(n, 3, 2, 2) * n for n in (7, 2, 1)]
    (new,) = ns.calibrate(nn.Sequential(norm), batches)
    mean, var = expected(batches)
    torch.testing.assert_close(new.running_mean, mean)
    torch.testing.assert_close(new.running_var, var)
    assert int(new.num_batches_tracked) == 3


def test_the_mean_of_uneven_batches_is_exactly_that_of_all_values():
    x = torch.randn(23, 3, dtype=torch.float64)
    (new,) = ns.calibrate(nn.Sequential(nn.BatchNorm1d(3).double()), x.split(9))
    torch.testing.assert_close(new.running_mean, x.mean(0), rtol=1e-14, atol=1e-14)


def test_the_variance_of_uneven_batches_is_the_populations_in_expectation():
    x = torch.randn(2000, 5, 3, dtype=torch.float64)  # 2000 data sets of 5 values, cut 3 + 2, of variance 1
    flat = x.transpose(0, 1).flatten(1)
    (new,) = ns.calibrate(nn.Sequential(nn.BatchNorm1d(6000).double()), flat.split(3))
    assert abs(new.running_var.mean().item() - 1.0) < 4 * (2 / 3 / 6000) ** 0.5  # four standard errors


def test_deeper_norms_see_what_the_shallower_make_of_each_batch():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2), nn.BatchNorm1d(2))
    batches = [torch.randn(n, 3) for n in (6, 4)]
    with torch.no_grad():
        inner = [
            model[2](torch.relu((x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt())) for x in batches
        ]
    new = ns.calibrate(model.eval(), batches)
    mean, var = expected(inner)
    torch.testing.assert_close(new[3].running_mean, mean)
    torch.testing.assert_close(new[3].running_var, var)


def test_any_model_is_calibrated_and_keeps_its_modes_and_weights(built):
    model, x = built
    model.train()
    next(model.children()).eval()
    new = ns.calibrate(model, [x, x[:3]])
    assert [m.training for m in new.modules()] == [m.training for m in model.modules()]
    for (_, before), (_, after) in zip(norms(model), norms(new), strict=True):
        assert not torch.equal(core(before).running_mean, core(after).running_mean)
    for name, parameter in new.named_parameters():
        torch.testing.assert_close(parameter, model.get_parameter(name), rtol=0, atol=0)


def test_momentum_and_other_buffers_stay():
    model = nn.Sequential(nn.BatchNorm1d(2, momentum=0.3))
    assert ns.calibrate(model, [torch.randn(4, 2)])[0].momentum == 0.3


def test_a_norm_called_twice_averages_both_calls():
    norm = nn.BatchNorm1d(2)
    x = torch.randn(8, 2)
    new = ns.calibrate(nn.Sequential(norm, nn.Hardtanh(), norm), [x])
    y = nn.functional.hardtanh((x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt())
    torch.testing.assert_close(new[0].running_mean, (x.mean(0) + y.mean(0)) / 2)


def test_dropout_is_off_as_at_inference():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2))
    x = torch.randn(8, 2)
    torch.testing.assert_close(ns.calibrate(model.train(), [x])[1].running_mean, x.mean(0))


def test_a_norm_without_running_statistics_is_left_alone():
    model = nn.Sequential(nn.GroupNorm(1, 2), nn.BatchNorm1d(2, track_running_stats=False))
    with pytest.warns(NormscopeWarning, match="calibrate found no norm with running statistics"):
        assert str(ns.calibrate(model, [torch.randn(4, 2)])) == str(model)


def test_every_form_of_batch_gives_the_same():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2)

        def forward(self, values):
            return self.norm(values)

    x, y = torch.randn(10, 2), torch.arange(10)
    forms = [
        x.split(4),
        iter(x.split(4)),
        DataLoader(TensorDataset(x, y), batch_size=4),
        [{"values": part, "labels": part[:, 0]} for part in x.split(4)],
    ]
    wanted = expected(x.split(4))
    for batches in forms:
        new = ns.calibrate(Named(), batches)
        torch.testing.assert_close((new.norm.running_mean, new.norm.running_var), wanted)


def test_keyword_batches_with_labels_calibrate_a_transformers_model():
    transformers = pytest.importorskip(
        "transformers", reason="transformers, of the test extra, is not installed"
    )
    config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[8], depths=[1], num_labels=3)
    model = transformers.ResNetForImageClassification(config)
    x = torch.randn(4, 3, 32, 32)
    one = ns.calibrate(model, [{"pixel_values": x, "labels": torch.tensor([0, 1, 2, 0])}])
    two = ns.calibrate(model, [(x, None)])
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "at least one batch"),
        ([3], "not a int"),
        ([()], "not a tuple"),
        ([{"images": torch.randn(3, 2)}], r"'images', of which the model takes none"),
        (torch.randn(3, 2), r"a loader or list of batches, not a tensor"),
        ([torch.randn(3, 2), torch.randn(1, 2)], r"norm 'norm' one value per channel"),
    ],
)
def test_bad_batches_are_refused_in_one_sentence(batches, message):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2)

        def forward(self, x):
            return self.norm(x)

    with pytest.raises(InputError, match=message):
        ns.calibrate(Plain(), batches)


def test_batches_that_are_no_batches_are_refused():
    with pytest.raises(InputError, match="a loader or list of batches, not a int"):
        ns.calibrate(nn.Sequential(nn.BatchNorm1d(3)), 5)
