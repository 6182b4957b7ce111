"""A small part of the zoo; and that each of its checks fails where an operation is wrong.

``python -m benchmarks.zoo`` runs the same checks on every architecture.
"""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
import torch
from benchmarks.zoo import probes, surgery
from benchmarks.zoo.architectures import ARCHITECTURES
from benchmarks.zoo.check import Check, checked
from benchmarks.zoo.subject import Subject, Wrong, norms
from benchmarks.zoo.table import COLUMNS
from torch import nn

from normscope import calibrate, insert_norms, replace_norms, timing
from normscope.probes import moments, spectrum
from normscope.surgery import ChannelsLast, changes

pytest.importorskip("transformers", reason="transformers, of the test extra, is not installed")

FEW = ("GPT-2", "Llama", "Mamba", "RegNet", "ConvNeXt", "nn.TransformerEncoder, eval")
CASES = [(name, column) for name in FEW for column in COLUMNS if column != "forms"]
CASES += [("Mamba", "forms"), ("nn.TransformerEncoder, eval", "forms")]

pytestmark = pytest.mark.xdist_group("zoo")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with timing.threads(1):
        yield


@pytest.fixture(scope="module")
def subject() -> Callable[[str], Subject]:
    """The subject of a name, built once."""
    made: dict[str, Subject] = {}

    def of(name: str) -> Subject:
        if name not in made:
            made[name] = Subject.of(next(one for one in ARCHITECTURES if one.name == name))
        return made[name]

    return of


@pytest.mark.parametrize(("name", "column"), CASES)
def test_an_operation_gives_what_brute_force_gives(
    subject: Callable[[str], Subject], name: str, column: str
) -> None:
    cell = checked(COLUMNS[column], subject(name))
    assert cell.right, cell.text


def _nothing(model: nn.Module, *arguments: object, **more: object) -> nn.Module:
    return copy.deepcopy(model)


def _in_place(model: nn.Module, spec: str) -> nn.Module:
    next(iter(norms(model).values())).weight.data.add_(1)
    return replace_norms(model, spec)


def _over_all_tokens(model: nn.Module, spec: str) -> nn.Module:
    new = replace_norms(model, spec)
    for module in new.modules():
        if isinstance(module, ChannelsLast):
            module.forward = lambda x, norm=module.norm: norm(x.movedim(-1, 1)).movedim(1, -1)  # type: ignore[method-assign]
    return new


def _another_gain(model: nn.Module, spec: str) -> nn.Module:
    new = replace_norms(model, spec)
    next(iter(norms(new).values())).weight.data.mul_(1.001)
    return new


def _all_but_one(model: nn.Module, spec: str, place: Literal["after", "before"], x: object) -> nn.Module:
    made = [change.other for change in changes(insert_norms(model, spec, x=x)) if change.action == "inserted"]
    return insert_norms(model, spec, place, made[1:], x)


def _last_batch_only(model: nn.Module, batches: list[object]) -> nn.Module:
    return calibrate(model, batches[-1:])


def _scaled(column: str) -> Callable[..., pd.DataFrame]:
    measure = spectrum if column.startswith("lambda") else moments
    return lambda model, x: measure(model, x).assign(**{column: lambda table: table[column] * 1.0001})


def _by_name(model: nn.Module, x: object) -> pd.DataFrame:
    return moments(model, x).sort_values(["layer", "channel"], kind="stable")


def _without_first_layer(model: nn.Module, x: object) -> pd.DataFrame:
    return spectrum(model, x).iloc[1:]


_MISTAKES: dict[str, tuple[str, str, Callable[..., object], Check]] = {
    "nothing replaced": ("Llama", "replace_norms", _nothing, COLUMNS["layer"]),
    "the original changed": ("Llama", "replace_norms", _in_place, COLUMNS["layer"]),
    "tokens mixed": ("Llama", "replace_norms", _over_all_tokens, COLUMNS["layer"]),
    "another gain": ("Llama", "replace_norms", _another_gain, COLUMNS["rms"]),
    "nothing removed": ("Llama", "remove_norms", _nothing, surgery.remove),
    "a layer without a norm": ("Llama", "insert_norms", _all_but_one, surgery.insert),
    "a batch left out": ("Llama", "calibrate", _last_batch_only, surgery.calibrate),
    "nothing folded": ("RegNet", "fold", _nothing, surgery.fold),
    "another eigenvalue": ("Llama", "probes.spectrum", _scaled("lambda_max"), probes.spectrum),
    "a layer left out": ("Llama", "probes.spectrum", _without_first_layer, probes.spectrum),
    "another mean": ("Llama", "probes.moments", _scaled("mean"), probes.moments),
    "another order": ("Llama", "probes.moments", _by_name, probes.moments),
}


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_a_check_fails_where_the_operation_is_wrong(
    subject: Callable[[str], Subject], monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    name, operation, wrong, check = _MISTAKES[mistake]
    model = subject(name)
    trial = Subject(model.architecture, copy.deepcopy(model.model), model.dtype)
    monkeypatch.setattr(f"normscope.{operation}", wrong)
    with pytest.raises(Wrong):
        check(trial)


def test_a_cell_holds_the_sentence_of_an_error() -> None:
    def broken(subject: Subject) -> str:
        raise RuntimeError("it broke\nhere")

    model = nn.Linear(2, 2)
    cell = checked(broken, Subject(ARCHITECTURES[0], model, torch.float64))
    assert (cell.right, cell.text) == (False, "RuntimeError: it broke")


def test_the_page_has_a_row_for_every_architecture() -> None:
    page = (Path(__file__).parents[1] / "docs" / "zoo.md").read_text(encoding="utf-8")
    table = page.split("```")[1].splitlines()[2:-2]
    assert [line[:35].rstrip() for line in table] == [one.name for one in ARCHITECTURES]
    assert "WRONG" not in "".join(table)
