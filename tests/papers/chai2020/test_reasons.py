"""Every word of a reason is of its own run: claims on tables of two profiles, of real cells where they are cheap."""

import functools
import re

import pytest
from chai_tables import (
    gate_rows,
    join,
    over_seeds,
    power_rows,
    real_table,
    scaling_table,
    spectrum_rows,
    tiny,
    training_rows,
    variants,
)
from noise_tables import study

from normscope.papers.chai2020 import fig4_channel_scaling, fig5, fig6, fig7, fig8, fig10, natural_modes, pmd
from normscope.papers.chai2020.cells.lenet import STEPS
from normscope.papers.chai2020.profiles import CURVE_RATES
from normscope.protocol import Verdict

COUNTS = re.compile(r"([\d,]+) (seeds|epochs|steps|images|digits)\b(?! would decide)")
"""A number of things that this run has; how many seeds would decide a claim is none."""


def real(experiment, **profile):
    return real_table(experiment, tiny(experiment, **profile), span=2)


def mixtures(seeds, **_):
    """Eigenvalues scattered about the bound of §3.2."""
    return scaling_table(spread=lambda share: share / 2, seeds=seeds, scatter=0.3)


def powers(seeds, **_):
    """Channels' powers on either side of the threshold, as the laws of the norms have them."""
    return power_rows(seeds=seeds)


def spectra(seeds, images, **_):
    """Eigenvalues scattered about every bound of Fig. 6, and gates that never act."""
    values, options = variants(1.0, 2.1, 2.1, 1.0), {"rate": 0.01, "measure": "lambda_min"}
    rows = over_seeds(spectrum_rows, values, seeds=seeds, scatter=0.2, **options)
    return join(rows, gate_rows([0.0] * (images // 64), seeds=seeds))


def curves(seeds, epochs, images, **_):
    """Errors whose seeds are scattered about every bound of Fig. 7, and gates that never act in an epoch."""
    errors = {k: [v] * epochs for k, v in variants(0.13, 0.1, 0.11, 0.12).items()}
    rows = [
        over_seeds(training_rows, errors, rate=r, seeds=seeds, epochs=epochs, scatter=0.2)
        for r in CURVE_RATES
    ]
    return join(*rows, gate_rows([0.0] * (images // 64), seeds=seeds))


def sweep(seeds, epochs, rates, **_):
    """Errors and eigenvalues scattered about every bound of Fig. 8; a run has diverged at the highest rate."""
    tables = []
    for rate in rates:
        broken = rate == rates[-1]
        errors = variants(0.9, 0.06, 0.9, 0.06) if broken else dict.fromkeys(variants(*"0000"), 0.04)
        eigenvalues = variants(41.0, 40.0, None if broken else 41.0, 40.0)
        options = {"rate": rate, "seeds": seeds, "scatter": 0.2 + broken}
        tables.append(
            over_seeds(training_rows, {k: [v] * epochs for k, v in errors.items()}, epochs=epochs, **options)
        )
        tables.append(over_seeds(spectrum_rows, eigenvalues, measure="lambda_max", **options))
    return join(*tables)


def noise(seeds, epochs, images, **_):
    """D scattered about every bound of Fig. 10."""
    close = {"baseline": 0.05, "batch": 0.05, "prior": 0.04, "nlms_l1": 0.022, "nlms_l2": 0.02}
    return study(close, seeds=seeds, scatter=0.3, epochs=epochs, images=images)


ONE = {"seeds": 2, "epochs": 3, "images": 192, "steps": 20, "rates": (0.01, 4.0)}
OTHER = {"seeds": 3, "epochs": 2, "images": 256, "steps": 30, "rates": (0.01, 4.0, 10.0)}
TRAINED = {"epochs": 12, "images": 64 * 90}, {"epochs": 13, "images": 64 * 110}
EARLY = {"epochs": 9, "images": 64 * 20}, {"epochs": 8, "images": 64 * 30}

RUNS = {
    "channel_scaling": (fig4_channel_scaling, mixtures, {}, {}),
    "fig5": (fig5, powers, {}, {}),
    "fig6": (fig6, spectra, {}, {}),
    "fig7": (fig7, curves, {}, {}),
    "fig8": (fig8, sweep, {}, {}),
    "natural_modes": (natural_modes, real, {"images": 2}, {"images": 3}),
    "pmd": (pmd, real, {"rates": (0.1,)}, {"rates": (0.1,)}),
    "fig10": (fig10, noise, *TRAINED),
    "fig10, early": (fig10, noise, *EARLY),
}
"""Of each experiment its module, what makes its table from a profile's settings, and what two profiles change."""


@functools.cache
def judged(name, which):
    """The settings of one of the two profiles, and the claims on its table."""
    module, build, *changes = RUNS[name]
    settings = (ONE, OTHER)[which] | changes[which]
    table = build(module.EXPERIMENT, **settings) if build is real else build(**settings)
    return settings, module.EXPERIMENT.claims(table)


def own_numbers(settings):
    """The numbers that a reason may name: those of the profile, and of steps as many as they make."""
    per_epoch = settings["images"] // 64
    steps = {STEPS, settings["steps"], per_epoch, settings["epochs"] * per_epoch}
    return {"seeds": {settings["seeds"]}, "epochs": {settings["epochs"]}, "images": {settings["images"]}} | {
        "steps": steps,
        "digits": {settings["images"]},
    }


@pytest.mark.parametrize("name", RUNS)
def test_every_reason_is_of_this_run(name):
    reasons = []
    for which in (0, 1):
        settings, claims = judged(name, which)
        own = own_numbers(settings)
        for claim in claims:
            for number, things in COUNTS.findall(claim.reason):
                assert int(number.replace(",", "")) in own[things], claim.reason
        reasons.append({claim.id: claim.reason for claim in claims})
    one, other = reasons
    assert one.keys() == other.keys()
    for id in one:
        counted = {things for _, things in COUNTS.findall(one[id])}
        if counted - {"steps"} or "training" in one[id]:
            assert one[id] != other[id]


@pytest.mark.parametrize("name", ["channel_scaling", "fig6", "fig7", "fig8", "fig10", "fig10, early", "pmd"])
def test_the_two_runs_have_reasons_with_numbers_of_their_own(name):
    """So that the test above proves something."""
    for which in (0, 1):
        assert any(COUNTS.search(claim.reason) for claim in judged(name, which)[1])


def test_a_claims_seeds_are_those_of_its_run():
    for name in RUNS:
        for which in (0, 1):
            settings, claims = judged(name, which)
            found = {claim.seeds for claim in claims if claim.verdict is not Verdict.NOT_JUDGED}
            assert found <= {settings["seeds"]}


@pytest.mark.filterwarnings("ignore:All-NaN axis")  # see test_fig10: the band of one seed
def test_a_real_run_of_fig_10_that_is_too_short_says_how_short_and_reports_its_numbers():
    """The cells themselves: two steps, one seed, branches of two steps."""
    table = real(fig10.EXPERIMENT, images=128, epochs=1, seeds=1, draws=1, noisy_seeds=1)
    claims = fig10.EXPERIMENT.claims(table)
    assert {claim.verdict for claim in claims} == {Verdict.NOT_JUDGED}
    early = [claim for claim in claims if claim.id not in ("smoothest-curve", "smallest-band")]
    not_run = {claim.id for claim in early if claim.reason == "this reading was not run at this scale"}
    assert not_run <= {"power-as-sum", "large-eps", "first-at-fixed-rate"}
    early = [claim for claim in early if claim.id not in not_run]
    assert all(claim.reason.startswith("after 2 steps of training") for claim in early)
    medians = [
        value
        for claim in early
        for name, value in claim.measured.items()
        if name.startswith("D ") and "/" not in name
    ]
    assert medians
    assert all(0 < value < 1 for value in medians)
    fig10.EXPERIMENT.figure(table).draw_without_rendering()
