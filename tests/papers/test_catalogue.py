import pytest

from normscope.errors import UnknownNameError
from normscope.papers import catalogue
from normscope.protocol import Scale, empty_table


def ids(pattern):
    return [entry.id for entry in catalogue.find(pattern)]


def test_a_paper_means_all_its_experiments():
    assert ids("chai2020") == [entry.id for entry in catalogue.ENTRIES if entry.id.startswith("chai2020.")]
    assert ids("chai2020.") == ids("chai2020")


def test_all_means_everything():
    assert ids("all") == [entry.id for entry in catalogue.ENTRIES]


def test_an_exact_name_means_itself_alone():
    assert ids("chai2020.fig6") == ["chai2020.fig6"]


def test_a_prefix_matches_whole_dotted_parts():
    for part in ("chai2020.fig", "chai", "chai2020.fig61", ""):
        with pytest.raises(UnknownNameError):
            catalogue.find(part)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean chai2020\.fig"):
        catalogue.find("chai2020.fig66")


def test_several_patterns_give_each_experiment_once_in_order():
    found = catalogue.find_all(["chai2020.fig8", "chai2020", "chai2020.fig6"])
    assert [entry.id for entry in found] == ids("chai2020")


def test_names_are_unique():
    assert len({entry.id for entry in catalogue.ENTRIES}) == len(catalogue.ENTRIES)


@pytest.mark.parametrize("entry", catalogue.ENTRIES, ids=lambda entry: entry.id)
class TestEveryExperiment:
    def test_bears_its_catalogue_name(self, entry):
        assert entry.load().id == entry.id
        assert entry.id.startswith(f"{entry.paper.id}.")

    def test_asks_a_question_and_says_how_it_finds_out(self, entry):
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
