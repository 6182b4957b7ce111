import pytest

from normscope.disk.aside import ASIDE, set_aside


def test_a_damaged_file_is_moved_beside_its_place_and_none_is_overwritten(tmp_path):
    for content in ("first", "second"):
        (tmp_path / "file").write_text(content)
        set_aside(tmp_path / "file")
    assert (tmp_path / ASIDE / "file").read_text() == "first"
    assert (tmp_path / ASIDE / "file.1").read_text() == "second"
    assert not (tmp_path / "file").exists()


def test_a_link_is_moved_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "private").write_text("private")
    (tmp_path / "link").symlink_to(tmp_path / "private")
    assert set_aside(tmp_path / "link").is_symlink()
    assert (tmp_path / "private").read_text() == "private"


@pytest.mark.parametrize("blocked", ["link", "file"])
def test_nothing_is_moved_through_a_link(tmp_path, blocked):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("damaged")
    if blocked == "link":
        (folder / ASIDE).symlink_to(elsewhere)
    else:
        (folder / ASIDE).touch()
    assert set_aside(folder / "file") is None
    assert (folder / "file").exists()
    assert list(elsewhere.iterdir()) == []
