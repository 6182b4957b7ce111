"""What a user's code may do to a command's process, and what the command line does to a process that calls it."""

import io
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import warnings

import pytest

from normscope import cli
from normscope.cli import streams


@pytest.fixture
def start(tmp_path):
    """Starts a process whose only command is this code. Under nohup a hang-up would be ignored there."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    code = """
        import importlib.util, io, os, sys, threading, time, types
        from pathlib import Path
        from normscope import cli
        from normscope.cli import ending

        def run(arguments):
            {body}
            return 0

        sys.modules["normscope.cli.commands"] = cli.commands = types.SimpleNamespace(run=run)
        cli.main()
    """

    def begin(body, **options):
        body = textwrap.indent(textwrap.dedent(body), " " * 4).strip()
        script = textwrap.dedent(code).replace("{body}", body)
        return subprocess.Popen(
            [sys.executable, "-c", script], cwd=tmp_path, text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True, **options},
        )  # fmt: skip

    yield begin
    signal.signal(signal.SIGHUP, before)


def ended(process):
    """The exit status, the standard output and the standard error."""
    shown, said = process.communicate(timeout=60)
    return process.returncode, shown, said


@pytest.mark.parametrize(
    "harm",
    [
        "sys.stdout.close()",
        "sys.stdout.detach()",
        "sys.stdout.buffer.close()",
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')",
        "os.close(0); os.close(1); os.close(2); files = [open(f'file{n}', 'w') for n in range(3)]",
    ],
)
def test_words_reach_the_standard_output_whatever_a_users_code_did_to_it(harm, start, tmp_path):
    assert ended(start(f"{harm}\nprint('words')")) == (0, "words\n", "")
    assert not any(path.read_text() for path in tmp_path.iterdir())


def test_the_last_words_reach_the_standard_error_after_a_users_code_has_closed_it(start, tmp_path):
    process = start("os.close(2); file = open('file', 'w')\nos.write(1, b'ready\\n')\ntime.sleep(60)")
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    status, _, said = ended(process)
    assert (status, said) == (143, f"normscope: {cli.INTERRUPTED}\n")
    assert (tmp_path / "file").read_text() == ""


def test_a_hang_up_that_is_ignored_when_a_command_starts_stays_ignored(start):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start("os.kill(os.getpid(), 1)\nprint('done')")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ended(process) == (0, "done\n", "")


def test_a_users_code_that_catches_everything_does_not_keep_a_command_from_ending(start):
    process = start(
        """
        ending._LAST_SECONDS = 0.5
        while True:
            try:
                os.write(1, bytes([10]))
                time.sleep(60)
            except BaseException:
                pass
        """
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert ended(process)[::2] == (130, f"normscope: {cli.INTERRUPTED}\n")


def test_a_thread_that_never_ends_does_not_keep_a_command_from_ending(start):
    body = (
        "ending._LAST_SECONDS = 0.5\nthreading.Thread(target=time.sleep, args=(3600,)).start()\nprint('done')"
    )
    assert ended(start(body)) == (0, "done\n", "")


def test_a_fork_of_a_users_code_ends_by_the_first_signal_without_a_word(start):
    body = """
        for number in (2, 15, 1):
            child = os.fork()
            if child == 0:
                time.sleep(60)
            os.kill(child, number)
            print(os.WTERMSIG(os.waitpid(child, 0)[1]))
    """
    assert ended(start(body)) == (0, "2\n15\n1\n", "")


@pytest.mark.parametrize(
    "consequence",
    [
        "raise cli.InputError('the loader cannot be called: Ended')",
        "raise OSError('a worker of the loader has gone')",
        "threading.Thread(target=lambda: 1 / 0).start()",
        "type('Loader', (), {'__del__': lambda self: 1 / 0})()",
    ],
)
def test_what_fails_in_a_users_code_since_the_command_ends_is_not_said(consequence, start):
    process = start(
        f"""
        from normscope.errors import InputError
        cli.InputError = InputError
        try:
            os.write(1, bytes([10]))
            time.sleep(60)
        except BaseException:
            {consequence}
        """
    )
    process.stdout.readline()
    process.terminate()
    assert ended(process) == (143, "", f"normscope: {cli.INTERRUPTED}\n")


def test_a_signal_while_python_takes_a_finished_process_apart_changes_no_exit_status(start):
    body = """
        class Slow:
            def __del__(self):
                os.write(1, b"x")
                end = time.perf_counter() + 1
                while time.perf_counter() < end:
                    pass
        sys.modules["slow"] = types.ModuleType("slow")
        sys.modules["slow"].thing = Slow()
    """
    process = start(body)
    assert process.stdout.read(1) == "x"
    process.send_signal(signal.SIGINT)
    assert ended(process)[::2] == (0, "")


def test_a_size_of_a_terminal_that_is_no_sensible_number_counts_as_not_given(monkeypatch):
    for size in ("0", "\u00b2", "-1", "abc", "", "99999999999", "80"):
        monkeypatch.setenv("COLUMNS", size)
        streams.forget_impossible_sizes()
        assert os.environ.get("COLUMNS") == ("80" if size == "80" else None)


def test_a_connection_that_is_reset_is_a_reader_that_has_gone(start):
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    near.close()
    with far:
        process = start("print('words'); sys.stdout.flush()", stdout=far)
    assert ended(process)[::2] == (141, "")


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_bytes_are_written_as_text_to_a_stream_without_bytes(stream, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream)
    streams.write_whole("a √".encode())
    assert stream is None or stream.getvalue() == "a √"


def test_a_command_that_is_called_leaves_signals_streams_and_warnings_as_they_were(capsys, monkeypatch):
    def state():
        return (
            sys.stdin, sys.stdout, sys.stderr, warnings.showwarning, warnings.filters[:], sys.unraisablehook,
            [signal.getsignal(number) for number in signal.valid_signals()],
        )  # fmt: skip

    before = state()
    for words in (["list"], ["nonsense"], ["--help"]):
        with pytest.raises(SystemExit):
            cli.main(words)
    assert state() == before
    monkeypatch.setattr(sys, "stderr", None)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        cli.main(["nonsense"])
    assert capsys.readouterr().out == ""
