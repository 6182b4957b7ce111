import math

import torch

import normscope as ns


def test_every_value_is_squashed_by_itself_with_one_learned_alpha() -> None:
    layer = ns.nn.DynamicTanhNorm(3, alpha=0.8, dtype=torch.float64)
    layer.load_state_dict(
        {
            "alpha": torch.tensor(1.7),
            "weight": torch.tensor([0.5, -2.0, 3.0]),
            "bias": torch.tensor([1.0, 0.0, -1.0]),
        }
    )
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    y = layer(x).detach()
    for n, c, i in ((0, 0, 0), (1, 2, 4), (3, 1, 2)):
        gain, bias = (0.5, -2.0, 3.0)[c], (1.0, 0.0, -1.0)[c]
        expected = gain * math.tanh(1.7000000476837158 * x[n, c, i]) + bias
        assert math.isclose(y[n, c, i], expected, rel_tol=1e-12, abs_tol=1e-12)


def test_alpha_starts_at_a_half_is_one_number_and_is_reset() -> None:
    layer = ns.nn.make("dyt", 3)
    assert layer.alpha.shape == ()
    assert float(layer.alpha.detach()) == 0.5
    other = ns.nn.make("dyt(alpha=2,gain=false,bias=false)", 3)
    assert [name for name, _ in other.named_parameters()] == ["alpha"]
    torch.nn.init.constant_(other.alpha, 9.0)
    other.reset_parameters()
    assert float(other.alpha.detach()) == 2.0


def test_training_and_inference_are_the_same_function_and_nan_stays_in_its_place() -> None:
    layer, x = ns.nn.make("dyt", 3), torch.randn(4, 3, 5)
    assert torch.equal(layer.train()(x), layer.eval()(x))
    x[1, 2, 3] = torch.nan
    assert layer(x).isnan().nonzero().tolist() == [[1, 2, 3]]
