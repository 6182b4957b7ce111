"""A folder from somebody else in which something else is in a file's place: no link is followed, no pipe waited for."""

import base64
import random
import shutil

import damaging
import pytest
import trial
from damaging import command

pytestmark = pytest.mark.faults
ALL = [(kind, place) for kind in damaging.KINDS for place in damaging.PLACES]
FEW = random.Random(15).sample(ALL, 4)
COMMANDS = (("clean",), ("report",), ("reproduce", trial.ID, "--workers", "1", "--out"))


@pytest.fixture(scope="module", autouse=True)
def _the_trial_is_the_catalogue():
    with damaging.trial_catalogue():
        yield


@pytest.fixture(scope="module")
def received(tmp_path_factory):
    """A results folder with its figures, scorecard and page."""
    path = tmp_path_factory.mktemp("received") / "runs"
    damaging.build(path)
    assert command("report", path) == (0, "")
    return path


def check(received, tmp_path, kind, place):
    """Every command ends in lines, and what the folder's links lead to stays as it was and out of the page."""
    out, private = shutil.copytree(received, tmp_path / "runs"), tmp_path / "private"
    private.mkdir()
    (private / "file").write_text("<svg>secret</svg>")
    (private / "data.parquet").write_text("secret")
    (private / ".x.0123456789abcdef.tmp").write_text("secret")
    before = contents(private)
    damaging.put(kind, out / place, private)
    for words in COMMANDS:
        status, complaints = command(*words, out)
        assert status in (0, 1, 2)
        assert all(line.startswith("normscope: ") or "cells" in line for line in complaints.splitlines())
        page = out / "report.html"
        if page.is_file() and not page.is_symlink():
            assert "secret" not in page.read_text(errors="replace")
            assert base64.b64encode(b"<svg>secret</svg>").decode() not in page.read_text(errors="replace")
        assert contents(private) == before


def contents(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize(("kind", "place"), FEW)
def test_in_some_places_nothing_is_followed_and_nothing_waited_for(received, tmp_path, kind, place):
    check(received, tmp_path, kind, place)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "place"), ALL)
def test_in_no_place_is_anything_followed_or_waited_for(received, tmp_path, kind, place):
    check(received, tmp_path, kind, place)


def test_the_results_folder_itself_may_be_a_link(received, tmp_path):
    real = shutil.copytree(received, tmp_path / "real")
    (tmp_path / "runs").symlink_to(real)
    (real / "report.html").unlink()
    assert command("report", tmp_path / "runs") == (0, "")
    assert (real / "report.html").exists()


def test_an_export_goes_where_its_user_says_through_a_link_too(received, tmp_path):
    out = shutil.copytree(received, tmp_path / "runs")
    (tmp_path / "link.csv").symlink_to(tmp_path / "card.csv")
    assert command("report", out, "--csv", tmp_path / "link.csv") == (0, "")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "card.csv").read_text().startswith("experiment,claim")
