"""Experiments on other data than the paper's: what they ask for, what they are called, and what they refuse."""

import dataclasses

import pytest
from own_pictures import TRAIN

from normscope import data
from normscope.errors import InputError, UnknownNameError
from normscope.papers import catalogue, other_data
from normscope.protocol import Scale, empty_table

PICTURES = "own_pictures:pictures"


def on(name, *ids, scale=Scale.QUICK):
    return other_data.on(catalogue.load(ids or ["all"]), name, scale)


def cells(experiment, scale=Scale.QUICK):
    return experiment.cells(scale, empty_table())


@pytest.mark.parametrize("scale", Scale)
@pytest.mark.parametrize("entry", catalogue.ENTRIES, ids=lambda entry: entry.id)
def test_every_cell_that_reads_data_reads_the_given_ones(entry, scale):
    (experiment,) = on("fashion-mnist", entry.id, scale=scale)
    (usual,) = on(None, entry.id)
    if not usual.profile(scale).data:
        assert experiment == usual
        return
    reading = [cell for cell in cells(experiment, scale) if hasattr(cell.config, "data")]
    assert reading
    assert {cell.config.data for cell in reading} == {"fashion-mnist"}
    assert {name for cell in cells(experiment, scale) for name in cell.data} == {"fashion-mnist"}
    assert len(cells(experiment, scale)) == len(cells(usual, scale))
    assert experiment.id == f"{entry.id}@fashion-mnist"


def test_where_the_data_are_the_scales_own_the_experiment_is_the_papers():
    assert on("mnist5k") == on(None)
    assert on("mnist", "chai2020", scale=Scale.LAPTOP) == on(None, "chai2020")
    assert [one.id for one in on("mnist", "chai2020.fig6")] == ["chai2020.fig6@mnist"]


def test_the_note_says_whether_the_data_are_the_papers():
    (fashion,), (digits,) = on("fashion-mnist", "chai2020.fig6"), on("mnist", "chai2020.fig6")
    assert fashion.note(Scale.QUICK) == "judged on fashion-mnist, not on the paper's data, mnist"
    assert digits.note(Scale.QUICK) == (
        "judged on mnist, the paper's data, in place of mnist5k, which the quick scale has"
    )
    (pictures,) = on(PICTURES, "chai2020.fig6")
    assert pictures.note(Scale.PAPER) == f"judged on {PICTURES}, not on the paper's data, mnist"


def test_the_settings_name_the_data_their_shape_and_their_content():
    (experiment,) = on(PICTURES, "chai2020.fig6")
    settings = experiment.profile(Scale.QUICK).describe()
    assert "first 96 training images" in settings["data"]
    assert "3×20×24" in settings["run on"]
    assert "4 classes" in settings["run on"]
    assert experiment.data.rpartition("#")[2][:12] in settings["run on"]


def test_no_more_training_images_are_asked_for_than_there_are():
    (experiment,) = on(PICTURES, "chai2020.fig7")
    assert {cell.images for cell in cells(experiment)} == {TRAIN}
    (full,) = on("kmnist", "chai2020.fig7")
    assert {cell.images for cell in cells(full)} == {3_000}


def test_fewer_images_than_a_batch_are_refused():
    (experiment,) = on(f"{PICTURES}(train=63)", "chai2020.fig7")
    with pytest.raises(
        InputError, match=r"has 63 training images, fewer than one batch of 64 of chai2020.fig7"
    ):
        cells(experiment)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_pictures:numbers", "inputs of shape 5"),
        (f"{PICTURES}(height=33)", "33×24 pixels"),
        ("own_pictures:distances", "a regression target"),
        (f"{PICTURES}(classes=1)", "a single class"),
        ("own_pictures:pairs", "several labels an image"),
    ],
)
def test_what_the_papers_network_cannot_classify_is_refused_before_anything_runs(name, words):
    with pytest.raises(InputError) as caught:
        on(name)
    assert str(caught.value) == (
        f"{name} has {words}: the papers' networks put images of up to 32×32 pixels into two classes or more."
    )


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean fashion-mnist"):
        on("fashon-mnist")


def test_an_experiment_without_such_a_profile_is_refused():
    (usual,) = on(None, "chai2020.fig6")
    odd = dataclasses.replace(usual, profiles=dict.fromkeys(Scale, object()))
    with pytest.raises(InputError, match=r"chai2020\.fig6 runs on its own data only"):
        other_data.on([odd], "mnist", Scale.QUICK)


PIN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("fashion-mnist", "fashion-mnist"),
        (f"my.module:loader#{PIN}", "loader-01234567"),
        (f"my.module:loader(size=3)#{PIN}", "loader-01234567"),
        (f"images:/home/me/my pictures/#{PIN}", "my-pictures-01234567"),
        (f"idx:../§§#{PIN}", "idx-01234567"),
        (f"idx:{'a' * 300}#{PIN}", f"{'a' * 24}-01234567"),
    ],
)
def test_the_name_on_other_data_is_a_folders_name_that_the_content_makes_unique(name, label):
    (usual,) = on(None, "chai2020.fig6")
    moved = other_data.moved(usual, name)
    assert moved.id == f"chai2020.fig6@{label}"
    assert other_data.base_of(moved.id) == usual.id


def test_other_contents_get_another_name():
    names = [f"{PICTURES}(seed={seed})" for seed in (0, 1)]
    assert len({on(name, "chai2020.fig6")[0].id for name in names}) == 2
    assert data.pinned(names[0]).startswith(f"{PICTURES}(seed=0)#")


def test_experiments_on_networks_of_three_channels_refuse_two(monkeypatch):
    (experiment,) = on("mnist5k", "bjorck2018.fig1", scale=Scale.LAPTOP)
    facts = dataclasses.replace(data.facts_of("mnist5k"), shape=(2, 28, 28))
    monkeypatch.setattr(other_data, "facts_here", lambda name: facts)
    with pytest.raises(InputError, match="mnist5k has images of 2 channels"):
        experiment.cells(Scale.LAPTOP, empty_table())


def test_a_run_on_a_smaller_data_set_is_validated_on_what_it_has():
    (experiment,) = on("mnist5k", "bjorck2018.fig1", scale=Scale.PAPER)
    profile = experiment.profile(Scale.PAPER)
    assert (profile.images, profile.test_images, profile.initial_images) == (4_000, 1_000, 4_000)
