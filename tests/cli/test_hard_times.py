"""What the command line says when the system refuses, and how it shows what a terminal cannot or must not get."""

import errno
import io
import os
import subprocess
import sys
import warnings

import pyarrow
import pytest

from normscope import cli
from normscope.cli import commands
from normscope.cli.ending import Ended, Ending
from normscope.cli.streams import StandardStreams
from normscope.errors import NormscopeWarning
from normscope.progress import console, say


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.EIO, "Input/output error", "a/b"), 2, "a/b: Input/output error."),
        (OSError(errno.EMFILE, "Too many open files"), 2, "Too many open files."),
        (OSError("odd"), 2, "odd."),
        (BrokenPipeError(errno.EPIPE, "Broken pipe", "a socket"), 2, "a socket: Broken pipe."),
        (MemoryError(), 1, "out of memory: fewer workers leave more for each."),
        (pyarrow.ArrowMemoryError("malloc of size 64 failed"), 1, "out of memory: fewer workers leave more for each."),
        (RuntimeError("can't start new thread"), 2, "the system starts no more threads"),
        (ImportError("x.so: failed to map segment from shared object"), 1, "out of memory"),
        (KeyboardInterrupt(), 130, "interrupted; finished cells are kept"),
    ],
)  # fmt: skip
def test_what_the_system_refuses_is_said_in_one_line(error, status, words, command, monkeypatch):
    def refuse(prefix):
        raise error

    monkeypatch.setattr("normscope.papers.catalogue.find", refuse)
    ended, shown, said = command("list")
    assert (ended, shown) == (status, "")
    assert said.startswith(f"normscope: {words}")
    assert len(said.splitlines()) == 1


def test_a_bug_of_ours_is_no_refusal_of_the_system(monkeypatch):
    def fail(prefix):
        raise RuntimeError("a bug")

    monkeypatch.setattr("normscope.papers.catalogue.find", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["list"])


def test_the_help_is_the_same_without_docstrings():
    code = "from normscope.cli import main; main(['{}', '--help'])"
    for name in ("reproduce", "data"):
        plain, bare = (
            subprocess.run(
                [sys.executable, *options, "-c", code.format(name)], capture_output=True, text=True
            )
            for options in ([], ["-OO"])
        )
        assert (bare.returncode, bare.stdout) == (plain.returncode, plain.stdout)
        assert len(plain.stdout.splitlines()) > 10


def test_a_warning_that_is_to_be_an_error_is_shown_and_other_filters_stay(capsys):
    with warnings.catch_warnings(record=True) as shown:
        warnings.resetwarnings()
        warnings.filterwarnings("error", category=UserWarning)
        warnings.filterwarnings("ignore", "quiet", NormscopeWarning, "normscope")
        before = list(warnings.filters)
        cli._never_raise_warnings()
        warnings.warn("loud", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in shown] == ["loud"]
    assert before[0][0] == "ignore"


def test_streams_show_what_they_cannot_encode_in_other_characters(tmp_path):
    kept, path = os.dup(1), tmp_path / "shown"
    before = sys.stdout, sys.stderr
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 1)
    sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    try:
        streams = StandardStreams(lambda: None)
        print("✓ ✗ – 1.5×10⁻³ ≤ λ … \udcff 漢")
        sys.stdout.flush()
        assert streams.lost is None
    finally:
        os.dup2(kept, 1)
        sys.stdout, sys.stderr = before
    assert path.read_bytes() == b"+ x - 1.5x10^-3 <= lambda ... ? ?\n"


def test_what_a_terminal_would_obey_is_shown_escaped_and_text_between_stays(capsys):
    hostile = "a\x1b[31mb\x9b2Jc\u202ed\udcffe\x07"
    say(hostile)
    console(stderr=True).print(hostile, markup=False)
    out, err = capsys.readouterr()
    assert out == "a\\x1b[31mb\\x9b2Jc\\u202ed\\udcffe\n"
    assert err == out


def test_an_error_names_a_hostile_file_harmlessly(command, tmp_path):
    status, _, said = command("report", tmp_path / "a\x1b]0;title\x07\u202eb")
    assert status == 2
    assert "\\x1b]0;title\\x07\\u202eb" in said
    assert said.rstrip("\n").isprintable()


def test_the_first_cause_decides_how_a_process_ends_and_is_raised_once():
    ending = Ending()
    with pytest.raises(Ended):
        ending.reader_gone()
    ending.reader_gone()
    assert ending.status == 141


def test_a_parser_that_takes_a_broken_pipe_for_one_of_the_output_is_overruled(monkeypatch):
    def refuse(prefix):
        raise BrokenPipeError(errno.EPIPE, "a worker has gone")

    monkeypatch.setattr("normscope.papers.catalogue.find", refuse)
    with pytest.raises(BrokenPipeError):
        commands.run(["list"])


_SLOW_TO_END = """
import sys, time
from normscope.cli import ending

class Slow:
    def __del__(self, wait=time.sleep):
        wait(0.5)

ending._LAST_SECONDS = 0.2
last = ending.Ending()
last.take_signals()
sys.slow = Slow()  # freed by the interpreter's own end, after all that runs at the exit
last.finish(2)
sys.exit(2)
"""


def test_an_interpreter_that_is_slow_to_end_keeps_the_exit_status():
    """On a busy machine Python may need longer for its own end than the command gives other people's threads."""
    assert subprocess.run([sys.executable, "-c", _SLOW_TO_END], check=False).returncode == 2
