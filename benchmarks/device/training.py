"""Images a second of training: LeNet and ResNets on the device and on the CPU, and LeNets side by side.

    python -m benchmarks.device.training NETWORK KIND DATA START SECONDS

trains from a moment of the system's clock and prints the images a second: one of the processes that share a device.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.device.report import Report
from benchmarks.device.speeds import synchronize
from normscope import data as datasets
from normscope import devices, networks, training
from normscope.data.augmentation import CropAndFlip
from normscope.data.batches import Split, seeded_epochs
from normscope.generators import seeded

BATCHES = {"LeNet": 64, "ResNet-20": 128, "ResNet-110": 128}
STARTING = 30.0
"""Seconds until a process has imported torch, found its device and taken its first steps."""


def networks_and_images(name: str, kind: str, data: str) -> tuple[nn.Module, Split]:
    """A network and the images that it trains on, on a device."""
    is_lenet = name == "LeNet"
    found = datasets.load(data)
    channels = found.train_images.shape[1] if is_lenet else 3
    images = Split.of(found, "train", 32, None if is_lenet else channels).to(torch.device(kind))
    with seeded(0):
        model = (
            networks.lenet(image=32, in_channels=channels)
            if is_lenet
            else networks.resnet(int(name.partition("-")[2]))
        )
    model = model.to(kind)
    return (model if is_lenet else model.to(memory_format=torch.channels_last)), images


def images_a_second(
    name: str, kind: str, data: str, seconds: float, start: Callable[[], None] = lambda: None
) -> float:
    """The speed of the training loop that the cells use, after three steps that do not count."""
    with devices.running_on(kind):
        model, images = networks_and_images(name, kind, data)
        batch, steps = BATCHES[name], 0
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        augmentation = None if name == "LeNet" else CropAndFlip()
        epochs = seeded_epochs(images, 1_000_000, batch, 0, augmentation)
        begun = ended = 0.0

        def until_the_end(step: int, loss: float) -> None:
            nonlocal begun, ended, steps
            if step == 3:
                start()
                synchronize(kind)
                begun = time.perf_counter()
            elif step > 3:
                steps, ended = step - 3, time.perf_counter()

        def timed() -> itertools.chain[tuple[Tensor, Tensor]]:
            endless = itertools.chain.from_iterable(epochs)
            return itertools.takewhile(lambda _: not begun or steps < 2 or ended - begun < seconds, endless)

        training.train(model, optimizer, [timed()], after_step=until_the_end)
        return steps * batch / (ended - begun)


def alone(
    report: Report, kind: str, data: str, seconds: float, names: tuple[str, ...] = tuple(BATCHES)
) -> None:
    """One process on the device, and one on the CPU with all of torch's threads."""
    cpu = f"CPU, {torch.get_num_threads()} threads"
    report.head("Training, images a second", "network", kind, cpu, "ratio")

    def compared(name: str) -> tuple[object, ...]:
        found = [images_a_second(name, one, data, seconds) for one in (kind, "cpu")]
        return f"{found[0]:,.0f}", f"{found[1]:,.0f}", f"{found[0] / found[1]:.1f}×"

    for name in names:
        report.measure(f"{name}, batch {BATCHES[name]}", 4, lambda name=name: compared(name))


def side_by_side(
    report: Report,
    kind: str,
    data: str,
    seconds: float,
    counts: tuple[int, ...] = (1, 4, 8),
    name: str = "LeNet",
) -> None:
    """Several processes that share the device, each with one thread, as the workers do."""
    report.head(
        f"{name}s that train side by side on one {kind}",
        "workers",
        "images a second, all together",
        "for each",
    )

    def together(count: int) -> tuple[object, ...]:
        start = time.time() + STARTING
        command = [
            sys.executable,
            "-m",
            "benchmarks.device.training",
            name,
            kind,
            data,
            str(start),
            str(seconds),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            for _ in range(count)
        ]
        try:
            speeds = [float(process.communicate()[0]) for process in running]
        finally:
            for process in running:
                process.kill()
        return f"{sum(speeds):,.0f}", f"{sum(speeds) / count:,.0f}"

    for count in counts:
        report.measure(str(count), 3, lambda count=count: together(count))


def main() -> None:
    name, kind, data, start, seconds = sys.argv[1:]
    torch.set_num_threads(1)

    def wait() -> None:
        time.sleep(max(0.0, float(start) - time.time()))

    print(images_a_second(name, kind, data, float(seconds), wait))


if __name__ == "__main__":
    main()
