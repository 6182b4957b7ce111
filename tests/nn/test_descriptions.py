"""What docs/norms.md and ``normscope list`` say about the norms is measured on the norms."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import normscope as ns
from normscope.nn import specs
from normscope.nn.channels_last import ChannelsLast
from normscope.nn.descriptions import MEANINGS, NORMS

DOCS = Path(__file__).parents[2] / "docs"

every_norm = pytest.mark.parametrize("name", NORMS)
both_modes = pytest.mark.parametrize("training", [True, False])


def moved(layer: nn.Module, x: Tensor, place: tuple[int, int, int]) -> Tensor:
    """Where the output changes if the input changes in one place, whatever its power."""
    changed = torch.zeros(x.shape, dtype=torch.bool)
    state = {key: value.clone() for key, value in layer.state_dict().items()}
    for scale in (0.1, 1.0, 10.0):
        outputs = []
        for step in (0.0, 0.5):
            layer.load_state_dict(state)
            torch.manual_seed(0)  # for the noise
            at = x.clone() * scale
            at[place] += step * scale
            outputs.append(layer(at).detach())
        changed |= (outputs[0] - outputs[1]).abs() > 1e-9
    return changed


@every_norm
@both_modes
def test_the_axes_of_a_norm_are_those_along_which_one_value_moves_others(name: str, training: bool) -> None:
    layer = ns.nn.make(name, 4).double().train(training)
    changed = moved(layer, torch.randn(3, 4, 6, dtype=torch.float64), (0, 0, 0))
    along = {"samples": changed[1:], "channels": changed[0, 1:], "positions": changed[0, 0, 1:]}
    described = NORMS[name].training if training else NORMS[name].inference
    assert {axis for axis, values in along.items() if values.any()} == set(described)


@every_norm
@both_modes
def test_with_channels_last_tokens_are_mixed_only_where_it_is_said(name: str, training: bool) -> None:
    layer = ChannelsLast(ns.nn.make(name, 4).double()).train(training)
    changed = moved(layer, torch.randn(3, 6, 4, dtype=torch.float64), (0, 5, 0))
    axes = NORMS[name].training if training else NORMS[name].inference
    assert bool(changed[0, :5].any()) == ("positions" in axes and not NORMS[name].per_token)
    assert bool(changed[1:].any()) == ("samples" in axes)


def test_every_argument_has_a_meaning_and_every_norm_a_line_of_its_own() -> None:
    assert {argument for norm in NORMS.values() for argument in norm.arguments} == set(MEANINGS)
    assert {name: norm.arguments for name, norm in NORMS.items()} == specs.ARGUMENTS
    lines = [norm.summary for norm in NORMS.values()]
    assert len(set(lines)) == len(lines)
    assert all(norm.source or name == "none" for name, norm in NORMS.items())


def test_the_page_of_the_norms_is_what_its_script_writes() -> None:
    place = importlib.util.spec_from_file_location("write_norms", DOCS / "write_norms.py")
    assert place is not None
    script = importlib.util.module_from_spec(place)
    place.loader.exec_module(script)
    page = script.page()
    assert page == (DOCS / "norms.md").read_text(encoding="utf-8"), "run python docs/write_norms.py"
    for name in NORMS:
        assert f"\n## {name}\n" in page
        assert isinstance(
            ns.nn.make(specs.parse(script._signature(name)), 4), nn.Module
        )  # its defaults are valid
