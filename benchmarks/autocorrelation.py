"""The autocorrelation instrument against unfolding and the curvature libraries, interleaved in one run.

    python -m benchmarks.autocorrelation [--threads 1 2] [--only WORD] [--table layers memory growth extremes network]

It prints five tables: the time of one layer's autocorrelation, compared with peers; peak memory; how time grows with
each size; the largest eigenvalue without forming the matrix; and the spectra of a whole ResNet-110, compared with a
training step. A ``!`` marks a number that misses its bound. A peer that is not installed is left out, with a note.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import normscope as ns
from normscope.timing import median_seconds

TABLES = ("layers", "memory", "growth", "extremes", "network")


@dataclasses.dataclass(frozen=True)
class Case:
    """One layer's input (batch, channels, *size) and its kernel."""

    shape: tuple[int, ...]
    kernel: int
    stride: int = 1
    padding: int = 0

    @property
    def name(self) -> str:
        """The name in the tables."""
        name = f"{'×'.join(map(str, self.shape))} k{self.kernel}"
        return name + f" p{self.padding}" * bool(self.padding) + f" s{self.stride}" * (self.stride > 1)

    @property
    def rows(self) -> int:
        """K, the rows of R."""
        return self.shape[1] * self.kernel ** (len(self.shape) - 2)

    def input(self) -> Tensor:
        """Normal values with mean 0.2."""
        return torch.randn(self.shape, generator=torch.Generator().manual_seed(0)) + 0.2


CASES = (
    Case((64, 6, 14, 14), 5),
    Case((128, 16, 32, 32), 3, padding=1),
    Case((128, 32, 16, 16), 3, padding=1),
    Case((128, 64, 8, 8), 3, padding=1),
    Case((32, 64, 56, 56), 3, padding=1),
    Case((32, 512, 7, 7), 3, padding=1),
    Case((32, 64, 56, 56), 7, padding=3),
    Case((32, 64, 56, 56), 3, stride=2, padding=1),
    Case((32, 32, 1024), 5, padding=2),
    Case((8, 16, 16, 16, 16), 3, padding=1),
)

Contender = Callable[[Tensor, Case], Tensor]


def ours(x: Tensor, case: Case) -> Tensor:
    return ns.probes.autocorrelation(x, case.kernel, case.stride, case.padding)


def unfold(x: Tensor, case: Case) -> Tensor:
    """The usual way: unfold, then multiply the patches with their transpose."""
    dims = x.ndim - 2
    if dims == 2:
        patches = F.unfold(x, case.kernel, padding=case.padding, stride=case.stride).mT
    else:
        patches = F.pad(x, (case.padding,) * (2 * dims))
        for dim in range(dims):
            patches = patches.unfold(2 + dim, case.kernel, case.stride)
        patches = patches.movedim(1, 1 + dims)
    rows = patches.reshape(-1, case.rows)
    return rows.T @ rows / len(rows)


def curvlinops(x: Tensor, case: Case) -> Tensor:
    from curvlinops.kfac_utils import extract_patches

    if x.ndim != 4:
        raise NotImplementedError("2-D only")
    k, s, p = ((n, n) for n in (case.kernel, case.stride, case.padding))
    rows = extract_patches(x, k, s, p, (1, 1), 1).reshape(-1, case.rows)
    return rows.T @ rows / len(rows)


def einconv(x: Tensor, case: Case) -> Tensor:
    from einconv.expressions import convNd_kfc

    if case.rows > 1000:
        raise NotImplementedError("K > 1000: minutes and gigabytes")
    equation, operands, shape = convNd_kfc.einsum_expression(x, case.kernel, case.stride, case.padding)
    return torch.einsum(equation, *operands).reshape(shape)[0] / len(x)


PEERS: dict[str, Contender] = {"unfold": unfold, "curvlinops": curvlinops, "einconv": einconv}


def usable(x: Tensor, case: Case) -> Iterator[tuple[str, Contender | str]]:
    """Each peer, or the reason why it is left out."""
    truth = ours(x, case)
    for name, peer in PEERS.items():
        try:
            found = peer(x, case)
        except ImportError:
            yield name, "not installed"
        except NotImplementedError as reason:
            yield name, str(reason)
        else:
            # einconv counts positions in another way: compare up to a factor.
            scale = float(truth.diagonal().sum() / found.diagonal().sum())
            same = torch.allclose(found * scale, truth, rtol=1e-3, atol=1e-3 * float(truth.abs().max()))
            yield name, peer if same else "returns another matrix"


def layers(cases: tuple[Case, ...], budget: float) -> None:
    """Print the time of one layer's autocorrelation, and its ratio to the best peer's."""
    print(
        "\nMilliseconds, and the best peer's as a multiple of ours; bounds: 2 at stride 1, 0.95 at other strides, "
        "geometric mean 3.5"
    )
    print(f"{'':28}{'ours':>10}" + "".join(f"{name:>12}" for name in PEERS) + f"{'ratio':>9}")
    ratios, notes = [], []
    for case in cases:
        x = case.input()
        found = dict(usable(x, case))
        peers = {name: peer for name, peer in found.items() if callable(peer)}
        notes += [f"{case.name}: {name}: {why}" for name, why in found.items() if isinstance(why, str)]
        contenders = {"ours": ours} | peers
        times = median_seconds(
            {n: lambda c=c, x=x, case=case: c(x, case) for n, c in contenders.items()}, budget, 2, 0
        )
        ratio = min(times[name] for name in peers) / times["ours"]
        ratios.append(ratio)
        cells = "".join(f"{times[n] * 1e3:12.1f}" if n in times else f"{'-':>12}" for n in PEERS)
        mark = " !" * (ratio < (2 if case.stride == 1 else 0.95))
        print(f"{case.name:28}{times['ours'] * 1e3:10.1f}{cells}{ratio:8.2f}×{mark}", flush=True)
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    print(f"{'geometric mean':28}{'':46}{mean:8.2f}×" + " !" * (mean < 3.5))
    print("".join(f"  {note}\n" for note in notes), end="")


FRUGAL = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_TOP_PAD_": "0"}
"""Settings with which glibc returns freed memory at once, so that the warm-up call does not lower the measured peak."""

MEASURE = """
import sys, torch
torch.set_num_threads(1)
from benchmarks.autocorrelation import CASES, ours, unfold, Case
case, run = CASES[int(sys.argv[1])], {"ours": ours, "unfold": unfold}[sys.argv[2]]
x = case.input()
run(case.input(), case)  # warm up: libraries load their code and make their buffers
def status(word):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(word)) * 1024
open("/proc/self/clear_refs", "w").write("5")  # reset the peak
before = status("VmRSS")
r = run(x, case)
print((status("VmHWM") - before - r.nbytes) / x.nbytes)
"""


def memory(cases: tuple[Case, ...]) -> None:
    """Print the peak resident memory of a call beyond its input and R, in multiples of the input."""
    print("\nPeak memory beyond input and R, in multiples of the input; bound: 2.5")
    print(f"{'':28}{'ours':>10}{'unfold':>12}")
    for case in cases:
        found = []
        for name in ("ours", "unfold"):
            command = [sys.executable, "-c", MEASURE, str(CASES.index(case)), name]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=os.environ | FRUGAL
            )
            found.append(float(done.stdout) if done.returncode == 0 else math.nan)
        print(f"{case.name:28}{found[0]:10.2f}{found[1]:12.2f}" + " !" * (found[0] > 2.5), flush=True)


def growth(budget: float) -> None:
    """Print how time grows with each size of 32×32×28×28 k3."""
    base = Case((32, 32, 28, 28), 3, padding=1)
    steps = {
        "B": [dataclasses.replace(base, shape=(b, 32, 28, 28)) for b in (8, 16, 32, 64)],
        "C": [dataclasses.replace(base, shape=(32, c, 28, 28)) for c in (8, 16, 32, 64)],
        "H": [dataclasses.replace(base, shape=(32, 32, h, h)) for h in (7, 14, 28, 56)],
        "k": [dataclasses.replace(base, kernel=k, padding=k // 2) for k in (1, 3, 5, 7)],
    }
    print("\nHow time grows from 32×32×28×28 k3: milliseconds, ours and unfold")
    for name, cases in steps.items():
        cells = []
        for case in cases:
            x = case.input()
            runs = {n: lambda c=c, x=x, case=case: c(x, case) for n, c in (("a", ours), ("b", unfold))}
            times = median_seconds(runs, budget / 4, 2, 0)
            value = {"B": case.shape[0], "C": case.shape[1], "H": case.shape[2], "k": case.kernel}[name]
            cells.append(f"{name}={value:<3}{times['a'] * 1e3:8.1f}{times['b'] * 1e3:9.1f}")
        print("   ".join(cells), flush=True)


def extremes() -> None:
    """Print the time of the largest eigenvalue for K = 4608, by Lanczos without R and by all eigenvalues of R."""
    layer = nn.Conv2d(512, 1, 3, padding=1)
    x = torch.relu(Case((32, 512, 7, 7), 3, padding=1).input())
    rows = {}
    runs = {
        "full": lambda: rows.update(full=ns.probes.spectrum(layer, x)),
        "lanczos": lambda: rows.update(lanczos=ns.probes.spectrum(layer, x, extremes=True)),
    }
    runs["lanczos"]()
    times = median_seconds(runs, 0, 2, 0)
    error = abs(rows["lanczos"].lambda_max[0] / rows["full"].lambda_max[0] - 1)
    ratio = times["full"] / times["lanczos"]
    print("\nThe largest eigenvalue of 32×512×7×7 k3, K = 4608; bounds: ratio 20, difference 1e-4")
    print(
        f"full {times['full']:.2f} s, Lanczos {times['lanczos']:.3f} s: ratio {ratio:.0f}×, difference {error:.0e}"
        + " !" * bool(ratio < 20 or error > 1e-4)
    )


def network(depth: int = 110) -> None:
    """Print the time of the spectra of all convolutions, in training steps at batch 128."""
    torch.manual_seed(0)
    model = ns.networks.resnet(depth)
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    x, y = torch.randn(128, 3, 32, 32), torch.randint(10, (128,))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    def sampled_step() -> None:
        with ns.probes.SpectrumSampler(model, every=1, layers=convolutions):
            step()

    model.train()
    step()
    works = {
        "step": step,
        "sampled": sampled_step,
        "own pass": lambda: ns.probes.spectrum(model, x, convolutions),
    }
    times = median_seconds(works, 30, 2, 0)
    ratios = {
        "sampled in a training step": times["sampled"] / times["step"] - 1,
        "in a forward pass of their own": times["own pass"] / times["step"],
    }
    print(
        f"\nResNet-{depth}, batch 128: the spectra of its {len(convolutions)} convolutions; bound: 1.5 steps"
    )
    print(f"training step {times['step']:.2f} s")
    for name, ratio in ratios.items():
        print(f"{name:44}{ratio:6.2f} steps" + " !" * (ratio > 1.5))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", default="", help="run only the cases whose name contains this word")
    parser.add_argument("--budget", type=float, default=3, help="seconds per case")
    parser.add_argument("--table", nargs="+", choices=TABLES, default=TABLES)
    chosen = parser.parse_args()
    cases = tuple(case for case in CASES if chosen.only in case.name)
    for threads in chosen.threads:
        torch.set_num_threads(threads)
        print(f"\n== {threads} thread{'s' * (threads > 1)}")
        for table, show in (
            ("layers", lambda: layers(cases, chosen.budget)),
            ("growth", lambda: growth(chosen.budget)),
            ("extremes", extremes),
            ("network", network),
        ):
            if table in chosen.table:
                show()
    if "memory" in chosen.table:
        memory(cases)


if __name__ == "__main__":
    main()
