import dataclasses

from normscope.papers.shared import Profile, at_scales
from normscope.protocol import Scale


def test_a_profile_says_its_fields_in_the_words_of_its_experiment():
    words = {"data": "{data}, first {images:,}", "rates": "{rates}", "fixed": "batch 64"}
    profiles = at_scales(
        words,
        quick=Profile("mnist5k", 3_000, 3, rates=(0.01, 1.0)),
        laptop=Profile("mnist", 10_000, 5),
        paper=Profile("mnist", 60_000, 5),
    )
    assert list(profiles) == list(Scale)
    assert profiles[Scale.QUICK].describe() == {
        "data": "mnist5k, first 3,000",
        "rates": "0.01, 1",
        "fixed": "batch 64",
    }


def test_a_paper_may_add_settings_of_its_own():
    @dataclasses.dataclass(frozen=True)
    class Deep(Profile):
        depths: tuple[float, ...] = ()

    (profile, *_) = at_scales({"depths": "{depths}"}, *[Deep("mnist5k", 1, 1, depths=(2, 4))] * 3).values()
    assert profile.describe() == {"depths": "2, 4"}
