"""Checks of unusual forms of a model and of its input."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

import normscope as ns
from benchmarks.zoo import probes
from benchmarks.zoo.check import checked
from benchmarks.zoo.subject import Inputs, Subject, Wrong, close, finite, outputs, silent

Operation = Callable[[nn.Module], nn.Module]

REPLACEMENTS: dict[str, Operation] = {
    "replace batch": partial(ns.replace_norms, spec="batch"),
    "replace layer": partial(ns.replace_norms, spec="layer"),
    "replace rms": partial(ns.replace_norms, spec="rms"),
    "remove": ns.remove_norms,
}


def forms(subject: Subject) -> str:
    """Each form of model and input gives what the plain form gives; the key number is how many forms there are."""
    checks = (
        positional,
        labelled,
        single,
        half,
        modes,
        tied,
        compiled,
        parallel,
        inference,
        lanczos,
        again,
        pickled,
    )
    cells = [checked(check, subject) for check in checks]
    wrong = [
        f"{check.__name__}: {cell.text}" for check, cell in zip(checks, cells, strict=True) if not cell.right
    ]
    if wrong:
        raise Wrong("; ".join(wrong))
    return str(sum(bool(cell.text) for cell in cells))


def positional(subject: Subject) -> str:
    """A tuple or a bare tensor in place of the mapping."""
    x = subject.inputs()
    if len(x) > 1:
        return ""
    (value,) = x.values()
    for other in (value, (value,)):
        same(subject.model, x, subject.model, other, f"as {type(other).__name__}")
        inserted, wanted = (ns.insert_norms(subject.model, "layer", x=form) for form in (other, x))
        close(silent(inserted, x), silent(wanted, x), 0.0, f"inserted with a {type(other).__name__}")
    batch = ns.replace_norms(subject.model, "batch")
    close(
        silent(ns.calibrate(batch, [value, (value, None)]), x),
        silent(ns.calibrate(batch, [x, x]), x),
        0.0,
        "calibrated on a tensor and on a tuple",
    )
    return "tuple"


def labelled(subject: Subject) -> str:
    """Labels and an attention mask among the keyword arguments."""
    x = subject.inputs()
    more = _labels(subject, x) | _mask(subject, x)
    if not more:
        return ""
    full = x | more
    if not all(bool(y.isfinite().all()) for y in silent(subject.model, full)):
        return ""
    ns.probes.spectrum(subject.model, full)
    ns.probes.moments(subject.model, full)
    for name, operation in REPLACEMENTS.items():
        finite(_run(operation(subject.model), full, name))
    finite(_run(ns.insert_norms(subject.model, "layer", x=full), full, "insert"))
    batch = ns.replace_norms(subject.model, "batch")
    found, wanted = (silent(ns.calibrate(batch, [given]), x) for given in (x | _labels(subject, x), x))
    close(found, wanted, 0.0, "calibrated with labels")
    return " and ".join(more)


def _labels(subject: Subject, x: Inputs) -> dict[str, Any]:
    parameters = inspect.signature(subject.model.forward).parameters
    if "return_loss" in parameters:
        return {"return_loss": True}
    if "labels" not in parameters:
        return {}
    logits = silent(subject.model, x)[0]
    labels = logits.argmax(1 if logits.ndim == 4 else -1)
    return {"labels": labels[:, : logits.shape[1] // 4] if "CTC" in type(subject.model).__name__ else labels}


def _mask(subject: Subject, x: Inputs) -> dict[str, Any]:
    name = "attention_mask" if "input_ids" in x else "src_key_padding_mask"
    if name not in inspect.signature(subject.model.forward).parameters:
        return {}
    first = next(iter(x.values()))
    mask = torch.ones(first.shape[:2], dtype=torch.long)
    mask[0, -2:] = 0
    return {name: mask if name == "attention_mask" else mask == 0}


def single(subject: Subject) -> str:
    """A model in float32."""
    return _in(subject, torch.float32)


def half(subject: Subject) -> str:
    """A model in bfloat16, where the model itself runs in it."""
    try:
        other = Subject.of(subject.architecture, torch.bfloat16)
        finite(silent(other.model, other.inputs()))
    except RuntimeError:  # an operation that torch lacks on this device
        return ""
    return _in(subject, torch.bfloat16)


def _in(subject: Subject, dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    other = Subject.of(subject.architecture, dtype)
    x = other.inputs()
    wanted = [y.dtype for y in silent(other.model, x)]
    operations = REPLACEMENTS | {"insert": lambda model: ns.insert_norms(model, "layer", x=x)}
    for what, operation in operations.items():
        new = operation(other.model)
        for training in (False, True):
            found = _run(new, x, f"{what} in {name}", training)
            finite(found)
            if [y.dtype for y in found] != wanted:
                raise Wrong(f"{what} in {name}: the output is {found[0].dtype}")
    probes.spectrum(other)
    probes.moments(other)
    return name


def modes(subject: Subject) -> str:
    """Modules in different modes: surgery keeps each module's own."""
    model = copy.deepcopy(subject.model).train()
    for index, module in enumerate(model.modules()):
        module.training = bool(index % 2)
    wanted = {name: module.training for name, module in model.named_modules()}
    for what, operation in REPLACEMENTS.items():
        found = {name: module.training for name, module in operation(model).named_modules() if name in wanted}
        if found != wanted:
            raise Wrong(f"{what}: {next(n for n in wanted if found.get(n) != wanted[n])} is in another mode")
    return "modes"


def tied(subject: Subject) -> str:
    """Tied parameters stay tied."""
    groups: dict[int, list[str]] = {}
    for name, parameter in subject.model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    shared = [names for names in groups.values() if len(names) > 1]
    for what, operation in REPLACEMENTS.items():
        new = dict(operation(subject.model).named_parameters(remove_duplicate=False))
        for names in shared:
            if len({id(new[name]) for name in names}) > 1:
                raise Wrong(f"{what}: {' and '.join(names)} are no longer one parameter")
    return "tied" if shared else ""


def compiled(subject: Subject) -> str:
    """A compiled model: probes measure it, and surgery takes it, as if it were not compiled."""
    x = subject.inputs()
    model: Any = torch.compile(copy.deepcopy(subject.model), backend="eager")
    same(model, x, subject.model, x, "compiled")
    for what, operation in REPLACEMENTS.items():
        new = operation(model)
        close(silent(new, x), silent(operation(subject.model), x), 0.0, f"{what}, compiled")
    return "compiled"


def parallel(subject: Subject) -> str:
    """A model in ``DataParallel``."""
    x = subject.inputs()
    same(nn.DataParallel(subject.model), x, subject.model, x, "in DataParallel")
    return "DataParallel"


def inference(subject: Subject) -> str:
    """A model and input made in inference mode."""
    with torch.inference_mode():
        model = copy.deepcopy(subject.model)
        x = {name: value.clone() for name, value in subject.inputs().items()}
    same(model, x, subject.model, subject.inputs(), "in inference mode")
    return "inference mode"


def lanczos(subject: Subject) -> str:
    """``extremes=True`` finds the same λ_max without forming R."""
    found, wanted = (
        ns.probes.spectrum(subject.model, subject.inputs(), extremes=way) for way in (True, False)
    )
    gap = (found["lambda_max"] - wanted["lambda_max"]).abs() / wanted["lambda_max"].clip(lower=1e-12)
    if found["lambda_max"].isna().sum() != wanted["lambda_max"].isna().sum() or gap.max() > 1e-4:
        raise Wrong("extremes=True: lambda_max is another")
    return "extremes"


def again(subject: Subject) -> str:
    """Norms that were inserted are removed with the others."""
    x = subject.inputs()
    inserted = ns.insert_norms(subject.model, "batch", x=x)
    close(
        silent(ns.remove_norms(inserted), x), silent(ns.remove_norms(subject.model), x), 1e-9, "removed again"
    )
    return "again"


def pickled(subject: Subject) -> str:
    """A new model survives pickling, where the old one does."""
    x = subject.inputs()
    try:
        pickle.dumps(subject.model)
    except (AttributeError, RuntimeError):  # hooks that are local functions, parametrized layers
        return ""
    for what, operation in REPLACEMENTS.items():
        new = operation(subject.model)
        close(silent(pickle.loads(pickle.dumps(new)), x), silent(new, x), 0.0, f"{what}, pickled")
    return "pickled"


def same(model: Any, x: Any, plain: nn.Module, mapping: Any, what: str) -> None:
    """Both probes give the same numbers for both forms."""
    for probe in (ns.probes.spectrum, ns.probes.moments):
        found, wanted = probe(model, x), probe(plain, mapping)
        for column in _numbers(wanted):
            gap = (found[column] - wanted[column]).abs().max() / wanted[column].abs().max()
            if (
                len(found) != len(wanted)
                or found[column].isna().sum() != wanted[column].isna().sum()
                or gap > 1e-9
            ):
                raise Wrong(f"{probe.__name__}, {what}: {column} is another")


def _numbers(table: pd.DataFrame) -> Iterator[str]:
    yield from (name for name in ("lambda_max", "power", "mean", "variance") if name in table)


def _run(model: nn.Module, x: Any, what: str, training: bool = False) -> list[Tensor]:
    with torch.no_grad():
        try:
            return outputs(model.train(training), x)
        except (RuntimeError, TypeError) as error:
            raise Wrong(f"{what}: {type(error).__name__}: {str(error).splitlines()[0]}") from error
