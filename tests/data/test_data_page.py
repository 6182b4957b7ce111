"""The page on the data sets: its table and its commands; and CIFAR-10 in the experiments of a paper."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from normscope import data
from normscope.cli import main
from normscope.papers.shared.images import channels_and_classes

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = re.findall(r"^normscope (.*)$", TEXT, re.MULTILINE)


@pytest.fixture
def subset(tmp_path, cache, monkeypatch):
    """A folder with 100 training and 20 test images of noise in the form of CIFAR-10."""
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path))
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, count in (("data_batch_1.bin", 100), ("test_batch.bin", 20)):
        records = np.random.default_rng(count).integers(0, 256, (count, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        (folder / name).write_bytes(records.tobytes())
    return folder


@pytest.mark.parametrize("entry", data.CATALOGUE.values(), ids=data.CATALOGUE)
def test_the_table_has_every_data_set_with_its_images_and_download(entry):
    (row,) = re.findall(rf"^\| `{entry.name}` .*$", TEXT, re.MULTILINE)
    *_, images, licence, download, _ = (cell.strip() for cell in row.split("|"))
    shape = "×".join(map(str, entry.shape))
    assert images == f"{shape}, {entry.train:,} + {entry.test:,}"
    assert licence == entry.licence
    megabytes = sum(one.size for one in entry.downloads) / 1e6
    assert download == (f"{megabytes:.0f} MB" if entry.downloads else "none")


@pytest.mark.parametrize("entry", data.CATALOGUE.values(), ids=data.CATALOGUE)
def test_the_folder_has_a_place_for_every_data_set_of_files(entry):
    (block,) = re.findall(r"^```\n\$NORMSCOPE_DATA/\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert not entry.folder or f"\n  {entry.folder}/ " in f"\n{block}"
    assert not entry.archive or f"\n  {entry.archive.name} " in block


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_works(subset, tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    plan = ["--dry-run"] if command.startswith("reproduce") else []
    with pytest.raises(SystemExit) as end:
        main([*shlex.split(command), *plan])
    assert end.value.code == 0
    expected = {"data list": f"ready, in {subset}", "data fetch cifar10": f"{subset}\n"}
    assert expected.get(command, "chai2020.fig6@cifar10 ") in capsys.readouterr().out


def test_a_network_of_a_paper_trains_on_three_channels(subset):
    from normscope.papers.chai2020.cells.lenet import LeNetTraining, train_lenet

    assert channels_and_classes("cifar10") == (3, 10)
    table = train_lenet(LeNetTraining("batch", 0.1, 0, "cifar10", 100, 1)).to_pandas()
    errors = table[table["measure"] == "validation_error"]["value"]
    assert errors.between(0, 1).all()
    assert len(errors)
