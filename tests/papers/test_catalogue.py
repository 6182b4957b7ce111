import dataclasses
import sys
import types

import pytest

from normscope.errors import UnknownNameError
from normscope.papers import catalogue
from normscope.protocol import Scale, empty_table


def ids(pattern):
    return [entry.id for entry in catalogue.find(pattern)]


def test_a_papers_name_matches_all_its_experiments():
    assert ids("chai2020") == [entry.id for entry in catalogue.ENTRIES if entry.id.startswith("chai2020.")]
    assert ids("chai2020.") == ids("chai2020")


def test_all_matches_everything():
    assert ids("all") == [entry.id for entry in catalogue.ENTRIES]


def test_an_exact_name_matches_one_experiment():
    assert ids("chai2020.fig6") == ["chai2020.fig6"]


def test_a_prefix_matches_whole_dotted_parts():
    for part in ("chai2020.fig", "chai", "chai2020.fig61", ""):
        with pytest.raises(UnknownNameError):
            catalogue.find(part)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean chai2020\.fig"):
        catalogue.find("chai2020.fig66")


def test_several_patterns_give_each_experiment_once_in_the_catalogues_order():
    found = catalogue.load(["chai2020.fig8", "chai2020", "chai2020.fig6"])
    assert [experiment.id for experiment in found] == ids("chai2020")


def test_an_experiments_module_follows_from_its_name_unless_it_is_given(monkeypatch):
    entry = catalogue.ENTRIES[0]
    experiment = entry.load()
    elsewhere = types.ModuleType("elsewhere")
    elsewhere.EXPERIMENT = object()
    monkeypatch.setitem(sys.modules, "elsewhere", elsewhere)
    assert dataclasses.replace(entry, module="elsewhere").load() is elsewhere.EXPERIMENT
    assert experiment is sys.modules[entry.module or f"normscope.papers.{entry.id}"].EXPERIMENT


def test_names_and_aliases_are_unique_and_begin_with_their_papers():
    names = [name for entry in catalogue.ENTRIES for name in (entry.id, *entry.aliases)]
    assert len({*names}) == len(names)
    for entry in catalogue.ENTRIES:
        assert all(name.startswith(f"{entry.paper.id}.") for name in (entry.id, *entry.aliases))


class TestAliases:
    @pytest.fixture(autouse=True)
    def entries(self, monkeypatch):
        fig6, fig7 = (entry for entry in catalogue.ENTRIES if entry.id in ("chai2020.fig6", "chai2020.fig7"))
        monkeypatch.setattr(
            catalogue, "ENTRIES", (dataclasses.replace(fig6, aliases=("p.fig12", "p.table4")), fig7)
        )

    def test_an_alias_finds_the_experiment_that_shows_it_and_so_says_the_catalogue(self):
        assert ids("p.fig12") == ids("p.table4") == ids("chai2020.fig6") == ["chai2020.fig6"]
        assert [experiment.id for experiment in catalogue.load(["p.fig12", "chai2020.fig6"])] == [
            "chai2020.fig6"
        ]
        shown = catalogue.shown_by(["p.fig12", "chai2020.fig7", "p"])
        assert {name: entry.id for name, entry in shown.items()} == {"p.fig12": "chai2020.fig6"}

    def test_the_beginning_of_an_alias_finds_nothing(self):
        for part in ("p.fig1", "p", "p.fig12.more"):
            with pytest.raises(UnknownNameError):
                catalogue.find(part)

    def test_a_misspelt_alias_is_among_the_suggestions(self):
        with pytest.raises(UnknownNameError, match=r"did you mean p\.table4"):
            catalogue.find("p.tabel4")


@pytest.mark.parametrize("entry", catalogue.ENTRIES, ids=lambda entry: entry.id)
class TestEveryExperiment:
    def test_has_the_name_that_the_catalogue_lists(self, entry):
        assert entry.load().id == entry.id
        assert entry.id.startswith(f"{entry.paper.id}.")

    def test_asks_a_question_and_says_how_it_finds_the_answer(self, entry):
        experiment = entry.load()
        assert experiment.question.endswith("?")
        assert experiment.method.endswith(".")
        assert entry.paper.summary.endswith(".")

    @pytest.mark.parametrize("scale", Scale)
    def test_has_settings_and_cells_at_every_scale(self, entry, scale):
        experiment = entry.load()
        assert experiment.profile(scale).describe()
        cells = experiment.cells(scale, empty_table())
        assert len({cell.key(str) for cell in cells}) == len(cells) > 0

    def test_judges_nothing_without_data(self, entry):
        claims = entry.load().claims(empty_table())
        assert claims
        assert all(claim.holds is None and claim.reason for claim in claims)

    def test_has_claims_of_different_names_with_a_source_and_a_comparison(self, entry):
        claims = entry.load().claims(empty_table())
        assert len({claim.id for claim in claims}) == len(claims)
        assert all(claim.text and claim.source and claim.expected for claim in claims)
