"""Signals, readers that go, full and closed streams, odd terminals, tight limits: one line or none, no cell lost."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import trial
from conditions import CLOSED, NO_READER, Conditions
from killing import Run, results_of
from processes import alive, wait_until

from normscope.store import Store

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("ray")]

INTERRUPTED = "normscope: interrupted; finished cells are kept: the same command goes on with the others."
STATUSES = {signal.SIGINT: 130, signal.SIGHUP: 130, signal.SIGTERM: 143}
MOMENTS = 60
LIST, HELP = (Path("all"), ("list",)), (Path("--help"), ())
long = pytest.mark.long


def begin(run, cells=1):
    """Wait until the run has begun so many cells."""
    wait_until(lambda: len(run.begun()) >= cells)


def stored(out):
    return len(Store(out / "cells").keys())


# Signals


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(n, marks=[long]) for n in (signal.SIGHUP, signal.SIGTERM))]
)
def test_a_signal_ends_a_run_in_one_line_with_its_cells_kept_and_its_workers_gone(tmp_path, number):
    run = Run(tmp_path / "runs")
    begin(run, 3)
    workers = run.workers()
    run.signal(number)
    ended = run.end()
    assert not any(map(alive, workers))
    assert ended.returncode == STATUSES[number], ended.stderr
    assert [*map(str.strip, ended.stderr.splitlines())][1:] == [INTERRUPTED]
    assert stored(tmp_path / "runs") >= 1


@long
def test_a_hang_up_that_is_ignored_as_under_nohup_stays_ignored(tmp_path):
    run = Run(tmp_path / "runs", conditions=Conditions(ignored=("SIGHUP",)))
    begin(run)
    run.signal(signal.SIGHUP)
    ended = run.end()
    assert (ended.returncode, stored(tmp_path / "runs")) == (0, trial.CELLS), ended.stderr


def test_signals_that_follow_the_first_change_nothing(tmp_path):
    run = Run(tmp_path / "runs")
    begin(run)
    run.signal(signal.SIGTERM)
    time.sleep(0.01)
    run.signal(signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGINT)
    ended = run.end()
    assert ended.returncode == 143
    assert ended.stderr.splitlines()[1:] == [INTERRUPTED]


@pytest.mark.parametrize("moment", [pytest.param(n, marks=[long] if n else []) for n in range(MOMENTS)])
def test_signals_at_any_moment_leave_no_traceback_and_the_next_run_ends_as_if_undisturbed(
    moment, undisturbed, dice, tmp_path
):
    """Also while the program is imported, plans, draws and writes the page; half of the runs get two signals."""
    reference, duration = undisturbed
    out = tmp_path / "runs"
    run = Run(out)
    numbers = dice.choices([*STATUSES], k=1 + moment % 2)
    time.sleep(dice.uniform(0.02, 1.1 * duration))
    for number in numbers:  # Of two that come at once, the process may see either first.
        run.signal(number)
        time.sleep(dice.choice([0, 0.001, 0.01, 0.1]))
    ended = run.end()
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode in {0, *(STATUSES[number] for number in numbers)}, ended.stderr
    if ended.returncode:
        assert ended.stderr.splitlines()[-1] == INTERRUPTED
    assert Run(out).end().returncode == 0
    assert results_of(out) == results_of(reference)


@pytest.mark.parametrize("end", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=[long])])
def test_workers_in_a_call_that_lets_nothing_else_run_end_with_their_driver_as_do_their_cells_children(
    end, tmp_path
):
    run = Run(tmp_path / "runs", TRIAL_FAULTS="lock")
    wait_until(lambda: len(run.cells_children()) == 2)
    doomed = [*run.workers(), *run.cells_children()]
    assert len(doomed) >= 3
    assert all(map(alive, doomed))
    run.signal(end)
    run.end()
    wait_until(lambda: not any(map(alive, doomed)), seconds=10)


def test_a_cell_that_leaves_processes_behind_ends_with_them_and_the_run_goes_on(tmp_path):
    run = Run(tmp_path / "runs", TRIAL_FAULTS="orphans")
    ended = run.end()
    assert ended.returncode == 1
    assert "1 cell failed: its worker ended with exit status 4" in " ".join(ended.stdout.split())
    assert not any(map(alive, run.cells_children()))
    assert stored(tmp_path / "runs") == trial.CELLS - 1


# Streams


@pytest.fixture
def stored_run(undisturbed):
    """A finished folder that commands read."""
    return undisturbed[0]


def commands(out):
    """Commands that write to the standard output."""
    return {
        "list": LIST, "help": HELP, "report": (out, ("report", "--csv", "-")), "clean": (out, ("clean", "--dry-run")),
        "reproduce": (out, ("reproduce", trial.ID, "--out")),
    }  # fmt: skip


def few(*always):
    """The names of the commands; those that are not always tried are marked."""
    return [pytest.param(name, marks=[] if name in always else [long]) for name in commands(Path())]


@pytest.mark.parametrize("name", few("list", "reproduce"))
def test_a_pipe_that_nobody_reads_ends_a_command_quietly(name, stored_run):
    out, command = commands(stored_run)[name]
    ended = Run(out, command=command, conditions=Conditions(stdout=NO_READER)).end()
    words = ended.stderr.removesuffix("40 cells found, none to run.\n")
    assert (ended.returncode, words) == (141, "")


@pytest.mark.parametrize("name", few("report"))
def test_a_full_standard_output_is_one_line_and_exit_status_two(name, stored_run):
    out, command = commands(stored_run)[name]
    ended = Run(out, command=command, conditions=Conditions(stdout="/dev/full")).end()
    assert ended.returncode == 2
    last = ended.stderr.splitlines()[-1]
    assert last == "normscope: cannot write to the standard output: No space left on device."
    assert len(ended.stderr.splitlines()) <= 2


def test_the_results_of_a_run_whose_standard_output_is_full_are_written(tmp_path, undisturbed):
    ended = Run(tmp_path / "runs", conditions=Conditions(stdout="/dev/full")).end()
    assert ended.returncode == 2
    assert "cell failed" not in ended.stderr
    assert results_of(tmp_path / "runs") == results_of(undisturbed[0])


def test_when_the_reader_of_the_progress_goes_the_run_ends_quietly_with_its_cells_kept(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = Run(tmp_path / "runs", conditions=Conditions(stderr=str(pipe)), TRIAL_FAULTS="hang,slow exit")
    with pipe.open() as reader:
        assert "40 to run" in reader.readline()
        begin(run, 2)
        workers = run.workers()
    # The line on the second cell finds the pipe without a reader. The first cell hangs.
    ended = run.end()
    assert (ended.returncode, ended.stdout) == (141, "")
    assert not any(map(alive, workers))


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(stdin=CLOSED, stdout=CLOSED, stderr=CLOSED),
        pytest.param(Conditions(stderr="/dev/full"), marks=[long]),
        *(pytest.param(Conditions(**{name: CLOSED}), marks=[long]) for name in ("stdin", "stdout", "stderr")),
    ],
)
def test_a_run_needs_none_of_its_streams(conditions, tmp_path, undisturbed):
    ended = Run(tmp_path / "runs", conditions=conditions).end()
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    assert results_of(tmp_path / "runs") == results_of(undisturbed[0])


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("latin-1", marks=[long])])
def test_what_cannot_be_encoded_is_shown_in_other_characters(encoding, stored_run):
    ended = Run(stored_run, conditions=Conditions(encoding=encoding)).end()
    assert ended.returncode == 0
    assert "\n+ numbers  Roots grow: sqrtn < sqrt(n + 1)." in ended.stdout


def test_an_export_is_utf8_whatever_the_standard_output_can_show(stored_run, tmp_path):
    command = ("report", "--csv", "-")
    ended = Run(stored_run, command=command, conditions=Conditions(encoding="ascii")).end()
    assert ended.returncode == 0
    assert "√n < √(n + 1)" in ended.stdout


# Terminals


@pytest.mark.parametrize(
    "environment",
    [
        {"COLUMNS": "20"},
        *(pytest.param(words, marks=[long]) for words in ({"TERM": "dumb"}, {"NO_COLOR": "1"}, {})),
    ],
)
def test_a_terminal_that_is_narrow_dumb_or_colourless_gets_lines_that_fit(environment, tmp_path):
    screen = Terminal()
    ended = Run(
        tmp_path / "runs", conditions=Conditions(stdout=screen.path, stderr=screen.path),
        **{"TERM": "xterm", **environment},
    ).end()  # fmt: skip
    shown = screen.read()
    assert ended.returncode == 0, shown
    assert "Traceback" not in shown
    if environment.get("TERM") == "dumb":
        assert "\x1b" not in shown
    if "NO_COLOR" in environment:
        assert not re.search("\x1b\\[[0-9;]*3[0-7]", shown)
    assert "to run" in re.sub(r"\s+", " ", shown)


class Terminal:
    """A pseudo-terminal, and all that is shown on it."""

    def __init__(self):
        self._master, self._slave = pty.openpty()
        self.path = os.ttyname(self._slave)
        self._shown = b""
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def read(self):
        os.close(self._slave)
        self._thread.join(60)
        os.close(self._master)
        return self._shown.decode()

    def _drain(self):
        try:
            while content := os.read(self._master, 4096):
                self._shown += content
        except OSError:  # the last process that had the terminal has closed it
            pass


# Interpreters, folders, clocks: processes of their own, which import everything


def reproduce(out, *options, preload="", **environment):
    """The trial experiment by a Python with these options."""
    support = Path(trial.__file__).parent
    code = (
        f"import sys; sys.path.insert(0, {str(support)!r}); import trial;"
        f"trial.run(['reproduce', trial.ID, '--workers', '2', '--out', {str(out)!r}], {{}}, {str(out.parent)!r}, None)"
    )
    ended = subprocess.run(
        [sys.executable, *options, "-c", code], timeout=300,
        env={**os.environ, "TRIAL_TALKS": "1", **({"LD_PRELOAD": preload} if preload else {}), **environment},
    )  # fmt: skip
    return ended.returncode, (out.parent / "stderr").read_text(errors="replace")


NOWHERE = {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/proc/nothing", "TMPDIR": "/nonexistent"}


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (["-OO", "-W", "error"], {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", **NOWHERE}),
        *(
            pytest.param(*case, marks=[long])
            for case in (
                (["-OO"], {}), (["-I"], {}), (["-W", "error"], {}), ([], {"PYTHONWARNINGS": "error"}),
                ([], {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONOPTIMIZE": "2"}), ([], {"LC_ALL": "C"}),
                ([], {"PYTHONIOENCODING": "latin-1"}), ([], NOWHERE), (["-I"], {"PYTHONPATH": "/nonexistent"}),
            )
        ),
    ],
)  # fmt: skip
def test_the_interpreters_options_and_the_users_folders_change_no_result(
    options, environment, tmp_path, undisturbed
):
    status, said = reproduce(tmp_path / "runs", *options, **environment)
    assert (status, "Traceback" in said) == (0, False), said
    assert results_of(tmp_path / "runs") == results_of(undisturbed[0])


@pytest.mark.parametrize(
    "clock", ["jumping", *(pytest.param(clock, marks=[long]) for clock in ("1970", "back", "future"))]
)
def test_a_clock_that_jumps_or_is_wrong_changes_no_result(clock, wrong_clock, tmp_path, undisturbed):
    status, said = reproduce(tmp_path / "runs", preload=wrong_clock, CLOCK=clock)
    assert status == 0, said
    assert results_of(tmp_path / "runs") == results_of(undisturbed[0])


@long
@pytest.mark.parametrize("clock", ["jumping", "1970", "back", "future"])
def test_a_clock_that_is_wrong_in_another_way_than_before_finds_every_cell(clock, wrong_clock, tmp_path):
    assert reproduce(tmp_path / "runs", preload=wrong_clock, CLOCK=clock)[0] == 0
    status, said = reproduce(tmp_path / "runs", preload=wrong_clock, CLOCK="1970")
    assert (status, "40 cells found, none to run" in said) == (0, True), said


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
static time_t wrong(time_t right) {
    static unsigned calls;
    const char *clock = getenv("CLOCK");
    if (clock == NULL) return right;
    if (strcmp(clock, "1970") == 0) return right % 1000;
    if (strcmp(clock, "future") == 0) return right + 100L * 365 * 86400;
    calls++;
    if (strcmp(clock, "back") == 0) return right - 60L * calls;
    return right + (calls % 3 - 1L) * 40 * 365 * 86400;
}
int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec = wrong(now->tv_sec);
    return failed;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec, now->tv_usec = exact.tv_nsec / 1000;
    return failed;
}
time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}
"""


@pytest.fixture(scope="session")
def wrong_clock(tmp_path_factory):
    """A library that makes the clock of the day wrong, as the variable ``CLOCK`` says."""
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(CLOCK)
    command = ["cc", "-shared", "-fPIC", "-o", folder / "clock.so", folder / "clock.c", "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs a C compiler")
    return str(folder / "clock.so")


# Limits


@pytest.mark.parametrize("files", [14, *(pytest.param(count, marks=[long]) for count in range(3, 60))])
def test_too_few_open_files_end_a_run_in_one_line_or_do_for_it(files, tmp_path):
    ended = Run(tmp_path / "runs", conditions=Conditions(files=files)).end()
    one_line(ended)
    assert not (tmp_path / "runs" / "cells" / "_unreadable").exists()


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(threads=2),
        Conditions(processes=1),
        *(pytest.param(Conditions(threads=count), marks=[long]) for count in (0, 1, 3)),
        pytest.param(Conditions(processes=0), marks=[long]),
    ],
)
def test_threads_and_processes_that_cannot_be_started_end_a_run_at_once_in_one_line(conditions, tmp_path):
    """One cell hangs, so the run would else go on for an hour."""
    assert one_line(Run(tmp_path / "runs", conditions=conditions, TRIAL_FAULTS="hang").end()) == 2


def one_line(ended):
    """The exit status of a run that did its work, or said in one line why it cannot."""
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode in (0, 1, 2), ended
    lines = [line for line in ended.stderr.splitlines() if line.startswith("normscope: ")]
    assert len(lines) == (ended.returncode == 2), ended.stderr
    return ended.returncode
