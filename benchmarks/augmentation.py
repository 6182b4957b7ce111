"""What crops and flips cost: a batch of 128 CIFAR images put together, against the ResNet-20 step that it is for.

    python -m benchmarks.augmentation [--budget SECONDS] [--threads 1 2] [--device cpu|cuda|mps|auto]

Prints, for each number of threads, the milliseconds of the step (forward, backward, update) and of a batch without and
with augmentation (gathered, cropped and mirrored, standardized), and the ratios of the batches to the step; a ``!``
marks an augmented batch above the bound. The images are random: their values do not matter.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import torch

from normscope import devices, networks
from normscope.data.augmentation import CropAndFlip
from normscope.data.batches import Split
from normscope.data.catalogue import CATALOGUE
from normscope.generators import seeded
from normscope.timing import keep_memory, median_seconds, threads

BATCH = 128
BOUND = 0.1
_IMAGES = 10_000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.augmentation", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--budget", type=float, default=10.0, help="seconds for each number of threads")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto")
    options = parser.parse_args(arguments)
    keep_memory()
    contenders = _contenders(torch.device(devices.kind_of(options.device)))
    print(f"batches of {BATCH}, torch {torch.__version__}, device {options.device}")
    print(f"{'threads':>7}{'step':>12}{'plain batch':>20}{'augmented batch':>24}{'bound':>8}")
    for count in options.threads:
        with threads(count):
            seconds = median_seconds(contenders, options.budget)
        step = seconds.pop("step")
        cells = "".join(
            f"{taken * 1e3:>{width}.2f} ms = {taken / step:>6.2%}"
            for taken, width in zip(seconds.values(), (8, 12), strict=True)
        )
        mark = " " if seconds["augmented"] / step <= BOUND else "!"
        print(f"{count:>7}{step * 1e3:>9.1f} ms{cells}{mark}{BOUND:>7.0%}")


def _contenders(device: torch.device) -> dict[str, Callable[[], object]]:
    """The step, a plain batch and an augmented one, each complete when its function returns."""
    entry, generator = CATALOGUE["cifar10"], torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (_IMAGES, *entry.shape), dtype=torch.uint8, generator=generator)
    labels = torch.randint(entry.classes, (_IMAGES,), generator=generator)
    split = Split(images, labels, entry.mean, entry.std).to(device)
    order = torch.randperm(_IMAGES, generator=generator)[:BATCH]
    with seeded(0):
        model = networks.resnet(20).train().to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    x, y = split.batch(order)
    finish = getattr(torch, device.type).synchronize

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        finish()

    def plain() -> None:
        split.batch(order)
        finish()

    def augmented() -> None:
        split.augmented(order, CropAndFlip(), generator)
        finish()

    return {"step": step, "plain": plain, "augmented": augmented}


if __name__ == "__main__":
    main()
