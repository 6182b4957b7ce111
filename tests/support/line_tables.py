"""Tables as the cells of Figs. 5, 6 and 24 and of eq. 2 fill them, from numbers that a test chooses."""

import pandas as pd
from chai_tables import join, scattered

from normscope.papers.bjorck2018.cells.diverging import first_steps
from normscope.papers.bjorck2018.cells.noise import law_at, noise_at, sample_noise
from normscope.papers.bjorck2018.layers import layer_name

LAYERS = range(1, 110)


def search_rows(diverged, seed=0):
    """``diverged``: rate → the step whose loss exceeded the limit, ``None`` for a run that did not diverge."""
    rows = []
    for rate, step in diverged.items():
        run = {"function": first_steps.name, "norm": "none", "rate": rate, "seed": seed}
        rows.append({"measure": "batch_loss", "step": 1, "value": 500.0, **run})
        if step is not None:
            rows.append({"measure": "diverged", "step": step, "value": 1e9, **run})
    return pd.DataFrame(rows)


def line_rows(function, losses, alphas, seed=0, norm="none", rate=3e-4, at_step=1, moments=None, **options):
    """A line: its losses; of each measure in ``moments`` a function of the point's place and the layer's number.

    ``options``: ``norm_of_gradient`` and ``stem``, the norms of the gradients; ``classes``.
    """
    length, classes = options.get("norm_of_gradient", 100.0), options.get("classes", 10)
    run = {"function": function.name, "norm": norm, "rate": rate, "seed": seed, "at_step": at_step}
    rows = [
        {"measure": "gradient_norm", "value": length, **run},
        {
            "measure": "gradient_norm",
            "value": options.get("stem", length / 2),
            "layer": layer_name(1),
            **run,
        },
        {"measure": "classes", "value": classes, **run},
    ]
    for place, (alpha, loss) in enumerate(zip(alphas, losses, strict=True)):
        for measure, value in (("alpha", alpha), ("distance", alpha * length), ("loss", loss)):
            rows.append({"measure": measure, "index": place, "value": value, **run})
        for measure, value in (moments or {}).items():
            for number in LAYERS:
                where = {"index": place, "layer": layer_name(number), **run}
                rows.append({"measure": measure, "value": value(place, number), **where})
    return pd.DataFrame(rows)


def noise_rows(power=-1.0, rates=(0.1, 0.01), seeds=3, scatter=1e-3, sizes=(1, 4, 16, 64)):
    """Noises that go with a power of the number of examples; the law goes with the inverse."""
    rows = []
    for seed in range(seeds):
        run = {"function": sample_noise.name, "norm": "none", "seed": seed}
        for rate in rates:
            for size in sizes:
                exponent = power + scattered(1.0, seed, seeds, 0.5, scatter) - 1.0
                found = {noise_at(rate): rate**2 * size**exponent, law_at(rate): rate**2 / size}
                rows += [
                    {"measure": measure, "index": size, "value": value, **run}
                    for measure, value in found.items()
                ]
    return join(pd.DataFrame(rows))
