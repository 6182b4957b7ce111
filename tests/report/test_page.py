import re

from normscope.report.page import Section, write_page


def section(tmp_path, **changes):
    figure = tmp_path / "figure.svg"
    figure.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    claim = {
        "experiment": "p.fig1", "claim": "a", "text": "Norms <b>help</b>.", "source": "P 2020", "expected": "a > b",
        "measured": {"a": 2.0, "b": "inf"}, "holds": False, "reason": "", "scale": "quick", "seeds": 3,
    }  # fmt: skip
    fields = {
        "id": "p.fig1", "title": "a title", "source": "P 2020, Fig. 1", "caption": "A caption.", "scale": "quick",
        "settings": {"data": "digits"}, "claims": [claim], "figure": figure, "failures": {},
    }  # fmt: skip
    return Section(**(fields | changes))


def page(tmp_path, *sections):
    return write_page(tmp_path, sections, {"torch": "2"}).read_text()


def test_the_page_holds_figure_claims_settings_and_versions(tmp_path):
    text = page(tmp_path, section(tmp_path))
    for part in (
        "a title",
        "A caption.",
        "does not hold",
        "a 2, b inf",
        "digits",
        "median of 3 seeds",
        "torch",
    ):
        assert part in text


def test_the_page_needs_nothing_beside_it(tmp_path):
    text = page(tmp_path, section(tmp_path))
    assert "data:image/svg+xml;base64," in text
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)
    assert "http" not in re.sub(r"data:[^\"]*", "", text)


def test_what_comes_from_outside_is_escaped(tmp_path):
    text = page(tmp_path, section(tmp_path, failures={"train(x=1)": "<script>alert(1)</script>"}))
    assert "<b>help</b>" not in text
    assert "<script>" not in text
    assert "1 cell failed" in text


def test_an_experiment_without_a_figure_says_so(tmp_path):
    assert "not enough data to draw" in page(tmp_path, section(tmp_path, figure=None))


def test_the_summary_counts_the_verdicts(tmp_path):
    assert "0 claims hold on this machine, 2 do not, 0 could not be judged" in page(
        tmp_path, section(tmp_path), section(tmp_path)
    )
