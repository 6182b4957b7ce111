"""Checks of the instruments: spectrum and moments."""

from __future__ import annotations

from itertools import groupby

import pandas as pd
import torch
from torch import Tensor

import normscope as ns
from benchmarks.zoo.subject import Subject, Untouched, Wrong, layers, norms
from benchmarks.zoo.uses import Use, uses

CLOSE = 1e-8
"""Relative distance of two float64 computations of an eigenvalue or a moment."""


def spectrum(subject: Subject) -> str:
    """λ_max, λ_min and power of every layer's input are those of its patches, with one row per layer and no other.

    A weight that the model uses without its module has a row, too, or a note says why it has no numbers. Of several
    groups, or parts of one weight, they are the largest, the smallest and the mean.
    """
    model, x = subject.model, subject.inputs()
    wanted = uses(model, x, layers(model), model.training)
    with Untouched(model, x):
        table = ns.probes.spectrum(model, x)
    rows = dict(iter(table.groupby("layer", sort=False)))
    off = 0.0
    for name, calls in wanted.items():
        if name not in rows:
            raise Wrong(f"no row for {name}")
        if len(rows[name]) != 1:
            raise Wrong(f"{name} has {len(rows[name])} rows")
        matrices = [_autocorrelation(part) for part in parts(calls)]
        spectra = torch.cat([torch.linalg.eigvalsh(matrix) for matrix in matrices])
        largest = float(spectra[:, -1].max())
        smallest = float(torch.where(spectra[:, 0] > floor(spectra, calls[0].type), spectra[:, 0], 0).min())
        row = rows[name].iloc[0]
        for column, value in (("lambda_max", largest), ("power", float(spectra.mean()))):
            off = max(off, near(row[column], value, f"{column} of {name}"))
        off = max(off, near(row["lambda_min"], smallest, f"lambda_min of {name}", largest))
        if row["samples"] != (
            count := min(sum(use.patches.shape[1] for use in part) for part in parts(calls))
        ):
            raise Wrong(f"{name} has {row['samples']} samples instead of {count}")
        if not (row["lambda_min"] or row["note"]):
            raise Wrong(f"lambda_min of {name} is 0, and no note says why")
    explained(table, set(wanted), set(layers(model)))
    return f"{len(wanted)}: {off:.0e}"


def moments(subject: Subject) -> str:
    """Mean and variance of every channel of every layer's and norm's output, in the order in which they run."""
    model, x = subject.model, subject.inputs()
    wanted = uses(model, x, layers(model) | norms(model), model.training)
    with Untouched(model, x):
        table = ns.probes.moments(model, x)
    rows = dict(iter(table.groupby("layer", sort=False)))
    off = 0.0
    for name, calls in wanted.items():
        if name not in rows:
            raise Wrong(f"no rows for {name}")
        channels = [torch.cat([use.values for use in part], 1) for part in parts(calls)]
        if len(rows[name]) != (count := sum(len(values) for values in channels)):
            raise Wrong(f"{name} has {len(rows[name])} rows for {count} channels")
        scale = torch.cat([values.flatten() for values in channels]).square().mean()
        for column, unit in (("mean", scale.sqrt()), ("variance", scale)):
            value = torch.cat([moment(values, column) for values in channels])
            found = torch.tensor(rows[name][column].to_numpy(float))
            gap = float((found - value).abs().max() / unit) if unit else float(found.abs().max())
            if not gap <= CLOSE:
                raise Wrong(f"{column} of {name}: off by {gap:.1e}")
            off = max(off, gap)
    measured = explained(table, set(wanted), set(layers(model) | norms(model)))
    if measured != (order := list(wanted)):
        name = next(a for a, b in zip(measured, order, strict=True) if a != b)
        raise Wrong(f"{name} is not in the order in which the layers run")
    return f"{len(wanted)}: {off:.0e}"


def parts(calls: list[Use]) -> list[list[Use]]:
    """The calls by the part of the weight that they use."""
    ordered = sorted(calls, key=lambda use: use.part)
    return [list(part) for _, part in groupby(ordered, lambda use: use.part)]


def moment(values: Tensor, column: str) -> Tensor:
    """Mean or biased variance of each channel."""
    return values.mean(1) if column == "mean" else values.var(1, unbiased=False)


def _autocorrelation(calls: list[Use]) -> Tensor:
    """R of each group, (groups, K, K)."""
    count = sum(use.patches.shape[1] for use in calls)
    return sum((use.patches.mT @ use.patches for use in calls), torch.zeros(())) / count


def explained(table: pd.DataFrame, used: set[str], known: set[str]) -> list[str]:
    """The layers with numbers, which must be the used ones; each other layer has a row whose note says why."""
    notes = table.groupby("layer", sort=False)[["power", "note"]].first()
    measured = [str(name) for name, row in notes.iterrows() if not pd.isna(row["power"])]
    if extra := set(measured) - used:
        raise Wrong(f"{sorted(extra)[0]} has numbers and was not used")
    if silent := [name for name in known - used if name not in notes.index or not notes.loc[name, "note"]]:
        raise Wrong(f"{sorted(silent)[0]} was not used, and no note says so")
    return measured


def floor(spectra: Tensor, type: torch.dtype) -> Tensor:
    """Below it, an eigenvalue of each of the matrices cannot be told from 0: by the solver, or by the input's rounding.

    The errors of K entries, each at most ε times the entry, add up to about √K ε in a direction if they are not alike.
    """
    size = spectra.shape[1]
    solver = size * torch.finfo(spectra.dtype).eps * spectra[:, -1]
    return torch.maximum(solver, size**0.5 * torch.finfo(type).eps ** 2 * spectra.mean(1))


def near(found: float, wanted: float, what: str, unit: float = 0.0) -> float:
    """The distance of two numbers, relative to the second or in the unit, which must be within rounding."""
    off = abs(found - wanted) / (unit or abs(wanted) or 1.0)
    if not off <= CLOSE:
        raise Wrong(f"{what}: {found:.6g} instead of {wanted:.6g}")
    return off
