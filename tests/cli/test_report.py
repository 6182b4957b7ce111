"""Building the report again, and exporting its scorecard."""

import csv
import io
import json
import shutil

import pytest

from normscope.protocol import Claim, ClaimRule, Verdict
from normscope.results import files

pytestmark = pytest.mark.xdist_group("finished")  # one process of xdist makes the shared run


@pytest.fixture
def folder(finished, tmp_path):
    copy = tmp_path / "runs"
    shutil.copytree(finished, copy, ignore=shutil.ignore_patterns("cells"))
    return copy


def test_the_page_is_built_again_from_what_is_stored(finished, folder, command):
    (folder / "report.html").unlink()
    (folder / "chai2020.fig6" / "figure.svg").unlink()
    assert command("report", folder)[0] == 0
    for name in ("report.html", "scorecard.json", "chai2020.fig6/figure.svg"):
        assert (folder / name).read_bytes() == (finished / name).read_bytes()


def test_the_scorecard_is_exported_as_csv_and_latex(folder, command, tmp_path):
    table, manuscript = tmp_path / "card.csv", tmp_path / "card.tex"
    status, out, complaints = command("report", folder, "--csv", table, "--latex", manuscript)
    assert status == 0, complaints
    assert {str(table), str(manuscript)} <= set(out.splitlines())
    rows = json.loads((folder / "scorecard.json").read_text())
    found = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert [json.loads(line["measured"]) for line in found] == [row["measured"] for row in rows]
    assert r"\texttt{chai2020.fig6}, quick scale" in manuscript.read_text(encoding="ascii")


def test_verbose_adds_the_test_of_every_claim_after_the_lines(folder, command):
    short, long = command("report", folder)[1], command("report", folder, "--verbose")[1]
    assert (short.count("  Test: "), long.count("  Test: ")) == (0, 3)
    assert long.splitlines()[:4] == short.splitlines()[:4]


@pytest.mark.parametrize(
    ("verdict", "expected"), [(Verdict.FAILS, 3), (Verdict.UNDECIDED, 0), (Verdict.NOT_JUDGED, 0)]
)
def test_strict_exits_with_three_only_when_a_claim_does_not_hold(
    folder, command, monkeypatch, verdict, expected
):
    def judge(rule, table):
        return Claim(rule.id, rule.text, rule.source, rule.expected, {}, verdict)

    monkeypatch.setattr(ClaimRule, "__call__", judge)
    assert command("report", folder, "--strict")[0] == expected
    assert command("report", folder)[0] == 0


def test_a_dash_prints_the_export_and_nothing_else(folder, command):
    status, out, _ = command("report", folder, "--csv", "-")
    assert status == 0
    assert len(list(csv.DictReader(io.StringIO(out)))) == 3
    assert out.startswith("experiment,claim,verdict")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--csv", "-", "--latex", "-"], "only one of --csv and --latex"),
        (["--csv", "."], "cannot write"),
        (["--csv", "nope/card.csv"], "there is no folder nope"),
        (["--latex", "scorecard.json/card.tex"], "cannot write"),
    ],
)
def test_an_export_that_cannot_be_written_gets_one_line_and_exit_two(folder, command, arguments, words):
    status, out, complaints = command("report", folder, *arguments, cwd=folder)
    assert status == 2
    assert words in complaints
    assert len(complaints.strip().splitlines()) == 1
    assert out == ""


@pytest.mark.filterwarnings("always::normscope.errors.NormscopeWarning")
def test_a_damaged_table_is_named_in_one_line_and_the_others_are_reported(folder, command):
    broken = folder / "chai2020.fig7" / "data.parquet"
    broken.parent.mkdir()
    broken.write_bytes(b"PAR1 torn")
    status, out, complaints = command("report", folder)
    assert status == 1
    (line,) = complaints.splitlines()
    assert line.startswith("normscope: warning: chai2020.fig7 is not on the page: its table was damaged")
    assert "chai2020.fig7 (Fig. 7, its table was damaged" in " ".join(out.split())
    page = (folder / "report.html").read_text()
    assert "its table was damaged" in page
    assert 'id="chai2020.fig6"' in page


@pytest.mark.filterwarnings("always::normscope.errors.NormscopeWarning")
def test_where_the_only_table_is_damaged_no_verdict_stands(folder, command):
    broken = folder / "chai2020.fig6" / "data.parquet"
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 1
    broken.write_bytes(content)
    status, out, complaints = command("report", folder, "--csv", "-")
    assert status == 1
    assert f"run `normscope reproduce chai2020.fig6 --out {folder}` again" in complaints
    assert {line["verdict"] for line in csv.DictReader(io.StringIO(out))} == {"not judged"}
    assert {row["holds"] for row in json.loads((folder / "scorecard.json").read_text())} == {None}


@pytest.mark.filterwarnings("always::normscope.errors.NormscopeWarning")
def test_a_table_that_cannot_be_read_now_gets_one_line_and_exit_two(folder, command, monkeypatch):
    before, read = (folder / "scorecard.json").read_bytes(), files.read_file

    def refuse(path, *limit):
        if path.suffix == ".parquet":
            raise OSError(5, "Input/output error")
        return read(path, *limit)

    monkeypatch.setattr(files, "read_file", refuse)
    status, _, complaints = command("report", folder)
    assert status == 2
    assert complaints.splitlines()[-1].startswith("normscope: chai2020.fig6: cannot read")
    assert "Input/output error" in complaints.splitlines()[-1]
    assert (folder / "scorecard.json").read_bytes() == before
