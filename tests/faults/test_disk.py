"""Disks that are full and folders that cannot be written."""

import os
import shutil
import subprocess

import pytest
from killing import Run, results_of

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("ray")]


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, of 64 kB, and a function that changes its options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a file system takes rights that this user lacks")

    mount("size=64k")
    yield folder, lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def read_only(tmp_path, undisturbed, request):
    """A finished results folder that the system lets nobody write to."""
    if os.geteuid():
        out = shutil.copytree(undisturbed[0], tmp_path / "runs")
        _permit(tmp_path, 0o500)
        yield out
        _permit(tmp_path, 0o700)
    else:
        folder, remount = request.getfixturevalue("disk")
        remount("size=16m")
        out = shutil.copytree(undisturbed[0], folder / "runs")
        remount("ro")
        yield out


def _permit(top, mode):
    for folder, _, _ in os.walk(top, topdown=False):
        os.chmod(folder, mode)


def one_line(ended):
    assert "Traceback" not in ended.stderr
    return ended.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(("most", "what"), [(2_000, "cells"), (20_000, "figure.png")])
def test_files_that_may_not_grow_stop_the_run_in_one_line(tmp_path, most, what):
    ended = Run(tmp_path / "runs", largest_file=most).end()
    assert ended.returncode == 2
    assert one_line(ended).startswith("normscope: cannot write ")
    assert one_line(ended).endswith(f"{what}: File too large.")
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_full_disk_stops_the_run_in_one_line_and_with_room_it_continues(disk, undisturbed):
    folder, remount = disk
    out = folder / "runs"
    ended = Run(out).end()
    assert ended.returncode == 2
    assert one_line(ended).startswith("normscope: cannot write ")
    assert one_line(ended).endswith(
        "No space left on device; finished cells are kept: make room, then the same command goes on."
    )
    assert not list(out.rglob("*.tmp"))
    remount("size=16m")
    ended = Run(out).end()
    assert ended.returncode == 0, ended.stderr
    assert results_of(out) == results_of(undisturbed[0])


def test_a_read_only_folder_is_refused_before_anything_runs(read_only):
    run = Run(read_only, "--fresh")
    ended = run.end()
    assert (ended.returncode, run.begun()) == (2, [])
    assert one_line(ended).startswith(f"normscope: cannot write to {read_only}")
    assert len(ended.stderr.strip().splitlines()) == 1


def test_finished_results_in_a_read_only_folder_are_opened_and_nothing_is_written(read_only):
    before = {path: path.stat().st_mtime_ns for path in read_only.rglob("*")}
    ended = Run(read_only).end()
    assert ended.returncode == 0, ended.stderr
    assert "40 cells found, none to run" in ended.stderr
    assert "holds" in ended.stdout
    assert f"{read_only} is read-only: nothing was written." in " ".join(ended.stdout.split())
    assert {path: path.stat().st_mtime_ns for path in read_only.rglob("*")} == before
