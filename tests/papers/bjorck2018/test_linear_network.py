"""The linear network's cell against descent written out, and its claims on tables that are made up."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from chai_tables import join, real_table, without

from normscope.networks import deep_linear
from normscope.papers.bjorck2018.cells.linear_network import LayerDescent, descend_linear_network
from normscope.papers.bjorck2018.linear_network import (
    EXPERIMENT,
    kappa_squared,
    stable_rate,
    trajectories,
)
from normscope.papers.bjorck2018.profiles.matrices import ABOVE, BELOW, LINEAR_NETWORK, SHARES, SLOW
from normscope.protocol import Scale, Verdict, empty_table

CONFIG = LayerDescent(depth=4, trained=2, share=0.5, seed=1, steps=12, width=5, examples=9)


def values(table, name):
    frame = table.to_pandas()
    return frame[frame["measure"] == name]


def by_hand(config, rate_of=None):
    """The losses and the layer's weights of descent on matrices, and the singular values that decide it."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = deep_linear(config.depth, config.width, "none")
    weights = [layer.weight.detach().double().numpy() for layer in model.linear_layers]
    generator = torch.Generator().manual_seed(config.seed)
    shape = 2, config.examples, config.width
    x, y = torch.randn(shape, generator=generator, dtype=torch.float64).numpy()
    inputs, above, trained = x.T, np.eye(config.width), config.trained - 1
    for weight in weights[:trained]:
        inputs = weight @ inputs
    for weight in weights[trained + 1 :]:
        above = weight @ above
    singular = [np.linalg.svd(one, compute_uv=False) for one in (above, inputs)]
    rate = config.share * 2 / (singular[0][0] * singular[1][0]) ** 2
    layer, losses = weights[trained], []
    for _ in range(config.steps + 1):
        residual = above @ layer @ inputs - y.T
        losses.append(np.sum(residual**2) / 2)
        layer = layer - rate * above.T @ residual @ inputs.T
    return losses, singular


@pytest.mark.parametrize("trained", [1, 2, 4])
@pytest.mark.parametrize("share", [0.5, 1.01])
def test_the_losses_are_those_of_descent_written_out(trained, share):
    config = dataclasses.replace(CONFIG, trained=trained, share=share)
    table = descend_linear_network(config)
    losses, singular = by_hand(config)
    found = values(table, "loss").sort_values("step")
    assert list(found["step"]) == list(range(config.steps + 1))
    np.testing.assert_allclose(found["value"], losses, rtol=1e-10)
    (condition,) = values(table, "condition")["value"]
    assert condition == pytest.approx(math.prod(one[0] / one[-1] for one in singular), rel=1e-8)
    law = values(table, "loss_law").set_index("step")["value"]
    np.testing.assert_allclose(law, np.array(losses)[law.index.astype(int)], rtol=1e-10)


def test_the_network_and_the_closed_form_agree_to_rounding_in_every_column():
    table = descend_linear_network(CONFIG)
    error, size = (values(table, name).set_index(["step", "index"])["value"] for name in ("error", "size"))
    assert len(error.xs(CONFIG.steps)) == CONFIG.width
    assert (error / size).max() < 1e-13
    assert error.max() > 0


def test_the_slowest_modes_movement_implies_the_steps_of_the_closed_form():
    table = descend_linear_network(CONFIG)
    steps, law, condition = (
        values(table, name)["value"].item() for name in ("steps", "steps_law", "condition")
    )
    assert steps == pytest.approx(law, rel=1e-7)
    assert law == pytest.approx(math.log(0.01) / math.log1p(-(condition**-2)), rel=1e-6)


def test_beyond_the_bound_no_mode_ever_converges():
    table = descend_linear_network(dataclasses.replace(CONFIG, share=1.01, steps=40))
    assert math.isinf(values(table, "steps_law")["value"].item())
    assert math.isinf(values(table, "steps")["value"].item())


def test_the_same_cell_gives_the_same_bits_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    first = descend_linear_network(CONFIG)
    drawn = torch.rand(2)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(2), drawn)
    assert descend_linear_network(CONFIG).equals(first)


RUNS = {1: 3.0, 2: 1e2, 16: 1e12}
"""Condition numbers by depth; the last network's slowest mode moves less than rounding."""


def runs(change=None, depths=tuple(RUNS), seeds=2, shares=SHARES):
    """Descents as the theory has them; ``change`` gives numbers by measure for a depth, share and seed."""
    rows = []
    for depth in depths:
        for share in shares:
            for seed in range(seeds):
                kappa, growth = RUNS[depth], abs(1 - 2 * share) ** 2
                steps = math.log(0.01) / math.log1p(-2 * SLOW / kappa**2)
                numbers = {
                    "condition": kappa,
                    "steps": steps if depth < 16 else 7.0,
                    "steps_law": steps,
                    "moved": 1e-3 if depth < 16 else 1e-15,
                    "loss": [1.0, 0.8, 0.7] if share < 1 else [1.0, 50.0, 50.0 * growth**40],
                    "error": [0.0, 1e-14, 1e-13],
                    "size": [1.0, 1.0, 1.0],
                } | (change(depth, share, seed) if change else {})
                run = {"function": descend_linear_network.name, "depth": depth, "trained": 1}
                run |= {"share": share, "seed": seed}
                for measure, found in numbers.items():
                    for step, value in enumerate(found if isinstance(found, list) else [found]):
                        where = {"step": step if isinstance(found, list) else None, "index": 0}
                        rows.append({"measure": measure, "value": value, **where, **run})
    return pd.DataFrame(rows)


def only(depth, share, **numbers):
    """A change of one run."""
    return lambda at, rate, seed: numbers if (at, rate, seed) == (depth, share, 1) else {}


def test_every_claim_holds_on_the_theorys_numbers():
    claims = EXPERIMENT.claims(runs())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 2)] * 3
    assert "up to depth 2" in claims[2].reason


@pytest.mark.parametrize("share", SHARES)
def test_one_column_off_by_two_in_ten_billion_denies_the_trajectories(share):
    claim = trajectories(runs(only(2, share, error=[0.0, 2e-10, 0.0])))
    assert claim.verdict is Verdict.FAILS
    assert claim.measured["largest difference, depth 2"] == pytest.approx(2e-10)
    assert trajectories(runs(only(2, share, error=[0.0, 0.9e-10, 0.0]))).verdict is Verdict.HOLDS
    assert trajectories(runs(only(2, share, error=[0.0, math.nan, 0.0]))).verdict is Verdict.FAILS


def test_a_difference_is_in_units_of_the_largest_column_at_the_start_or_at_that_step():
    grown = {"error": [0.0, 1e-10, 1e-9], "size": [2.0, 1.0, 100.0]}
    assert trajectories(runs(only(1, ABOVE, **grown))).measured["largest difference, depth 1"] == 5e-11


@pytest.mark.parametrize(
    ("share", "loss"),
    [
        (BELOW, [1.0, 0.5, 0.6]),
        (BELOW, [1.0, 0.5, 0.5]),
        (BELOW, [1.0, 0.5, math.nan]),
        (ABOVE, [1.0, 50.0, 99.0]),
        (ABOVE, [1.0, 500.0, 400.0]),
    ],
)
def test_one_run_that_is_on_the_other_side_denies_the_bound(share, loss):
    assert stable_rate(runs(only(2, share, loss=loss))).verdict is Verdict.FAILS


def test_a_run_may_leave_the_largest_number_behind():
    assert stable_rate(runs(only(2, ABOVE, loss=[1.0, 1e300, math.inf]))).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        (
            {"steps_law": 1.2 * 1e4 * math.log(100) * 0.936, "steps": 1.2 * 1e4 * math.log(100) * 0.936},
            "holds",
        ),
        ({"steps_law": 1.3 * 1e4 * math.log(100), "steps": 1.3 * 1e4 * math.log(100)}, "does not hold"),
        ({"steps_law": 0.7 * 1e4 * math.log(100), "steps": 0.7 * 1e4 * math.log(100)}, "does not hold"),
        ({"steps": 1.02 * 1e4 * math.log(100)}, "does not hold"),
        ({"steps": math.nan}, "does not hold"),
        ({"steps_law": math.nan}, "does not hold"),
    ],
)
def test_one_runs_steps_that_do_not_grow_as_the_square_deny_it(numbers, verdict):
    assert kappa_squared(runs(only(2, SLOW, **numbers))).verdict == verdict


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    assert rule(runs().assign(function="another")).verdict is Verdict.NOT_JUDGED


def test_claims_that_compare_are_not_judged_without_both_sides():
    assert stable_rate(without(runs(), share=ABOVE)).verdict is Verdict.NOT_JUDGED
    assert kappa_squared(runs(depths=(1,))).verdict is Verdict.NOT_JUDGED
    assert kappa_squared(runs(lambda *_: {"moved": 0.0})).verdict is Verdict.NOT_JUDGED


def test_there_is_a_descent_for_every_depth_layer_rate_and_seed():
    profile = LINEAR_NETWORK[Scale.QUICK]
    configs = [cell.config for cell in EXPERIMENT.cells(Scale.QUICK, empty_table())]
    trained = {1: {1}, 2: {1}, 4: {1, 2}, 8: {1, 4}, 16: {1, 8}}
    assert {(config.depth, config.trained, config.share, config.seed) for config in configs} == {
        (depth, layer, share, seed)
        for depth in profile.depths
        for layer in trained[depth]
        for share in SHARES
        for seed in range(profile.seeds)
    }


def test_on_real_networks_every_claim_holds_and_the_figure_draws():
    profile = dataclasses.replace(LINEAR_NETWORK[Scale.QUICK], seeds=1, depths=(1, 2), steps=400)
    table = join(real_table(EXPERIMENT, profile))
    assert [claim.verdict for claim in EXPERIMENT.claims(table)] == [Verdict.HOLDS] * 3
    figure = EXPERIMENT.figure(table)
    assert [axes.get_title()[:3] for axes in figure.axes] == ["(a)", "(b)", "(c)"]
    figure.draw_without_rendering()


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINT = {"condition": 2457.992, "loss": 19.4674}


def test_the_rows_of_this_version_have_not_moved():
    table = descend_linear_network(CONFIG)
    assert descend_linear_network.version == 1
    found = {
        "condition": values(table, "condition")["value"].item(),
        "loss": values(table, "loss")["value"].iloc[-1],
    }
    assert found == pytest.approx(FINGERPRINT, rel=1e-3)
