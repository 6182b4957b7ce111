"""Cells of mixed versions, and cells that no experiment refers to."""

import shutil

import pyarrow.parquet as pq
import pytest
import trial
from killing import Run

from normscope.store import Store

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("ray")]


def test_mixed_versions_are_named_in_the_output_in_the_table_and_on_the_page(undisturbed, tmp_path):
    out = shutil.copytree(undisturbed[0], tmp_path / "runs")
    store = Store(out / "cells")
    key = min(store.keys())
    cell = store.read(key)
    store.write(key, cell.rows.drop_columns("cell"), {**cell.metadata, "normscope": "0.0.9"})
    ended = Run(out).end()
    assert ended.returncode == 0, ended.stderr
    sentence = "Cells of mixed versions: normscope 0.0.9 (1 cell) and "
    assert f"{trial.ID}: {sentence}" in ended.stdout
    assert sentence in (out / "report.html").read_text()
    assert sentence in pq.read_schema(out / trial.ID / "data.parquet").metadata[b"normscope"].decode()
    assert sentence not in (undisturbed[0] / "report.html").read_text()


def test_clean_says_what_it_removes_and_keeps_what_the_experiments_need(undisturbed, tmp_path):
    out = shutil.copytree(undisturbed[0], tmp_path / "runs")
    store = Store(out / "cells")
    cell = store.read(min(store.keys()))
    store.write("0" * 32, cell.rows.drop_columns("cell"), cell.metadata)
    would, did, again = (Run(out, *words, command=["clean"]).end() for words in (["--dry-run"], [], []))
    assert would.stdout == did.stdout.replace("removed", "would remove")
    assert did.stdout.startswith("removed cells that no experiment refers to: 1 (0.0")
    assert again.stdout == "nothing to remove\n"
    assert len(store.keys()) == trial.CELLS
