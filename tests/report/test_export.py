"""The scorecard as CSV and as LaTeX."""

import csv
import io
import json
import math
import re
import shutil
import subprocess

import pytest
from hostile import NUMBERS, ROW_FIELDS, TEXTS, row_of_number
from hostile import row as hostile_row
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.errors import printable
from normscope.papers import catalogue
from normscope.protocol import empty_table
from normscope.report.export import to_csv, to_latex
from normscope.report.latex import escape
from normscope.report.spreadsheets import as_cell

EVERYTHING = "".join(map(chr, [*range(0x250), *range(0x370, 0x400), *range(0x2000, 0x2300)]))
NASTY = st.text(
    st.one_of(st.sampled_from("$_\\{}[]*^%#&~<>|\"'`,;=+-@\n\r\t\x00"), st.characters()), max_size=40
)
AWKWARD = 'a "quoted"; one, two\nλ_max ≤ 2×10⁻³ & 50 % of {x}_i^2 \\ ~ # $ [y] *z 漢'


def row(**changes):
    fields = {
        "experiment": "p.fig_1", "claim": "a", "text": "t", "source": "s", "expected": "e", "measured": {"x": 1.5},
        "holds": True, "verdict": "holds", "interval": {}, "reason": "", "scale": "quick", "seeds": 3,
    }  # fmt: skip
    return fields | changes


def older_row(**changes):
    """A row as it was written before claims had verdicts and intervals."""
    fields = row(**changes)
    del fields["verdict"], fields["interval"]
    return fields


def test_csv_keeps_every_field():
    measured = {"λ_min A": 0.1 + 0.2, "b": "inf", AWKWARD: 1.0}
    rows = [
        row(text=AWKWARD, reason=AWKWARD, measured=measured, interval={AWKWARD: [0.1, "inf"]}),
        row(claim="b", holds=None, verdict="undecided", measured={}),
        row(holds=False, verdict="does not hold"),
        row(holds=None, verdict="not judged"),
    ]
    found = list(csv.DictReader(io.StringIO(to_csv(rows), newline="")))
    for line, written in zip(found, rows, strict=True):
        for column in ("experiment", "claim", "text", "source", "expected", "reason", "scale"):
            assert line[column] == written[column]
        assert json.loads(line["measured"]) == written["measured"]
        assert json.loads(line["interval"]) == written["interval"]
        assert int(line["seeds"]) == written["seeds"]
    assert [line["verdict"] for line in found] == ["holds", "undecided", "does not hold", "not judged"]


def test_rows_written_before_there_were_verdicts_and_intervals_are_exported():
    rows = [older_row(), older_row(holds=None)]
    found = list(csv.DictReader(io.StringIO(to_csv(rows), newline="")))
    assert [(line["verdict"], line["interval"]) for line in found] == [("holds", "{}"), ("not judged", "{}")]
    assert to_latex(rows).count(r"\mbox{1.5} \\") == 2


def test_the_sources_own_numbers_and_the_bounds_are_exported():
    rows = [row(published={"x": 2.5, "y": "inf"}, bounds={"x": {"most": 2}}, deciding="x")]
    (line,) = csv.DictReader(io.StringIO(to_csv(rows), newline=""))
    assert json.loads(line["published"]) == {"x": 2.5, "y": "inf"}
    assert json.loads(line["bounds"]) == {"x": {"most": 2}}
    assert line["deciding"] == "x"
    assert r"\mbox{1.5} \mbox{(published 2.5)}" in to_latex(rows)


def test_pandas_reads_the_csv():
    pd = pytest.importorskip("pandas")
    frame = pd.read_csv(io.StringIO(to_csv([row(text=AWKWARD), row(claim="b")])))
    assert frame["claim"].tolist() == ["a", "b"]
    assert frame["text"][0] == AWKWARD


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        ("50 % of a_b & #1 {x} $5", r"50 \% of a\_b \& \#1 \{x\} \$5"),
        ("a\\b~c^d", r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"),
        ("λ_max ≤ 2", r"$\lambda_{\max}$ $\le$ 2"),
        ("τ_k, λ_ab", r"$\tau_{k}$, $\lambda_{\mathrm{ab}}$"),
        ("BN_A < b", r"BN\_A $<$ b"),
        ("[a] *b", "{[}a] {*}b"),
        ("σ² × 10⁻³, x₁₂", r"$\sigma$$^{2}$ $\times$ 10$^{-3}$, x$_{12}$"),
        ("--strict", "-{}-strict"),
        ("Müller, Żak", r"M\"{u}ller, \.{Z}ak"),
        ("漢\x00\n", "(U+6F22)  "),
    ],
)
def test_text_for_latex(text, set_as):
    assert escape(text) == set_as


def test_latex_is_plain_ascii_for_any_text():
    assert escape(EVERYTHING).isascii()


def refuse_what_stops_latex(text):
    """Read a text as LaTeX does and fail at a special character that is not escaped, or a group that is left open."""
    assert text.isascii()
    depth, is_math = 0, False
    for token in re.findall(r"\\[A-Za-z]+|\\.|.", text, re.DOTALL):
        assert token not in ("#", "%", "&", "\\"), token
        assert is_math or token not in ("_", "^"), token
        assert token == " " or token.isprintable()
        depth += (token == "{") - (token == "}")
        assert depth >= 0
        is_math ^= token == "$"
    assert (depth, is_math) == (0, False)


@settings(max_examples=300, deadline=None)
@given(NASTY)
def test_any_text_is_escaped_for_latex(text):
    refuse_what_stops_latex(escape(text))


@pytest.mark.parametrize("text", ["a_b", "50%", "a&b", "#1", "{", "$x", "é"])
def test_the_reader_of_latex_finds_what_is_not_escaped(text):
    with pytest.raises(AssertionError):
        refuse_what_stops_latex(text)


def in_a_cell(text):
    """A text as it is read back from a cell, but for the apostrophes before formulas."""
    return printable(text, keep="\t\r\n").replace("'", "")


def read_with_csv(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_with_pandas(text):
    pd = pytest.importorskip("pandas")
    return pd.read_csv(io.StringIO(text, newline=""), dtype=str, keep_default_na=False).to_dict("records")


@pytest.mark.parametrize("read", [read_with_csv, read_with_pandas])
@settings(max_examples=100, deadline=None)
@given(NASTY, NASTY)
def test_any_text_is_read_back_from_the_csv(read, text, name):
    rows = [row(text=text, experiment=name, reason=text, measured={name: 1.0}, data=name), row(claim=text)]
    first, second = read(to_csv(rows))
    for line, column, written in [
        (first, "text", text), (first, "experiment", name), (first, "reason", text), (first, "data", name),
        (second, "claim", text),
    ]:  # fmt: skip
        assert line[column].replace("'", "") == in_a_cell(written)
    ((read_name, number),) = json.loads(first["measured"].replace("'", "")).items()
    assert (read_name, number) == (in_a_cell(name), 1.0)


def test_the_catalogues_claims_are_not_changed_in_a_cell():
    for entry in catalogue.ENTRIES:
        for claim in entry.load().claims(empty_table()):
            for text in (claim.text, claim.source, claim.expected, claim.reason):
                assert as_cell(text) == text


def test_the_catalogues_claims_are_set_as_they_read():
    for entry in catalogue.ENTRIES:
        for claim in entry.load().claims(empty_table()):
            for text in (claim.text, claim.source, claim.expected, claim.reason):
                assert "(U+" not in escape(text)


def test_the_latex_table_has_a_row_a_claim_grouped_by_experiment():
    rows = [
        row(),
        row(claim="b", holds=False, verdict="does not hold"),
        row(claim="c", holds=None, verdict="undecided", interval={"x": [1.31, 1.63]}),
        row(experiment="q", holds=None, verdict="not judged", reason="no data", measured={"m": "nan"}),
    ]
    text = to_latex(rows)
    assert text.count(r"{\raggedright \texttt{") == 2
    assert r"\texttt{p.fig\_1}, quick scale" in text
    assert [mark for mark in re.findall(r"& (\S+) & ", text) if mark != "Holds"] == [
        r"$\checkmark$",
        r"$\times$",
        "?",
        "--",
    ]
    assert r"\emph{Note:} no data" in text
    assert r"\mbox{NaN}" in text
    assert r"\mbox{1.5} \mbox{{[}1.31, 1.63]}" in text
    assert "?~undecided" in text


@pytest.mark.parametrize("name", NUMBERS)
def test_any_value_of_a_number_is_exported(name):
    rows = [row_of_number(NUMBERS[name])]
    (line,) = read_with_csv(to_csv(rows))
    measured, intervals = json.loads(line["measured"]), json.loads(line["interval"])
    for number in (*measured.values(), *(end for ends in intervals.values() for end in ends)):
        assert number in ("nan", "inf", "-inf") or math.isfinite(number)
    assert to_latex(rows).count(r"\mbox{") == to_latex([row_of_number(1.0)]).count(r"\mbox{")


def test_a_long_text_is_cut_for_latex():
    text = to_latex([row(text="a" * 100_000, experiment="b" * 100_000, measured={"c" * 100_000: 1.0})])
    assert len(text) < 10_000
    assert all(rf"{letter}\dots{{}}" in text for letter in "abc")


def latex_is_here():
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return False
    needed = ("amssymb.sty", "array.sty", "booktabs.sty", "longtable.sty")
    return subprocess.run(["kpsewhich", *needed], capture_output=True).returncode == 0


@pytest.mark.skipif(not latex_is_here(), reason="needs pdflatex with booktabs")
def test_pdflatex_sets_the_table(tmp_path):
    rows = [
        row(text=AWKWARD, reason="[a]", measured={AWKWARD: "-inf"}),
        row(holds=None, verdict="undecided", measured={"error A": 0.1}, interval={"error A": [0.05, "inf"]}),
        row(text="*b", experiment=AWKWARD, source=EVERYTHING),
        *(hostile_row(field, text) for text in TEXTS.values() for field in ROW_FIELDS),
        *map(row_of_number, NUMBERS.values()),
    ]
    (tmp_path / "card.tex").write_text(
        r"\documentclass{article}\usepackage{amssymb,array,booktabs,longtable}\begin{document}"
        + to_latex(rows)
        + to_latex([])
        + r"\end{document}"
    )
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "-recorder", "card.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
    )
    assert run.returncode == 0, run.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "card.log").read_text(errors="replace")
    opened = (tmp_path / "card.fls").read_text().splitlines()
    assert not [line for line in opened if "passwd" in line]
