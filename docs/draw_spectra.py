"""Draws docs/images/resnet110-spectra.png: the spectra of a ResNet-110's inputs by layer, with and without norms.

python docs/draw_spectra.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from normscope import data, networks, probes, training
from normscope.data.batches import Split
from normscope.nn import module_kinds
from normscope.report.plots import Look, legend_below, new_figure

BATCH = 128
LOOKS = {
    "unnormalized": ("none", Look("#000000", "o", "--")),
    "batch normalization": ("batch", Look("#D55E00", "s", "-")),
}
COLUMNS = {
    "lambda_max": (r"largest eigenvalue $\lambda_{\max}(R)$", "input power"),
    "lambda_min": (r"smallest eigenvalue $\lambda_{\min}(R)$", "input power"),
    "lr_bound": (r"$2/(M\lambda_{\max})$ of each layer alone", "learning rate"),
}


def spectra(norm: str) -> pd.DataFrame:
    """The spectra of every convolution of a ResNet-110 at its initialisation, on one batch of real digits."""
    digits = Split.of(data.load("mnist5k"), "train", size=32)
    images, _ = digits.batch(torch.arange(BATCH))
    with training.seeded(0):
        model = networks.resnet(110, norm=norm).train()
    convolutions = [name for name, layer in module_kinds.layers(model) if isinstance(layer, torch.nn.Conv2d)]
    return probes.spectrum(model, images.expand(-1, 3, -1, -1), convolutions)


def main() -> None:
    """Draw and write the figure."""
    figure, panels = new_figure(len(COLUMNS), columns=3)
    for label, (norm, look) in LOOKS.items():
        table = spectra(norm)
        for axes, column in zip(panels, COLUMNS, strict=True):
            axes.plot(
                range(1, len(table) + 1),
                table[column].where(table[column] > 0),
                color=look.color,
                label=label,
                marker=look.marker,
                markersize=3,
                linestyle="none",
            )
    for axes, (title, unit) in zip(panels, COLUMNS.values(), strict=True):
        axes.set(title=title, yscale="log", xlabel="convolution, counted from the image", ylabel=unit)
    legend_below(figure)
    figure.savefig(Path(__file__).parent / "images" / "resnet110-spectra.png", dpi=130)


if __name__ == "__main__":
    main()
