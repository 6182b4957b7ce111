"""The scorecard on the terminal: a line per claim; with ``--verbose`` then everything that is known of each."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from normscope.cli.printable_results import printable_result
from normscope.papers.other_data import base_of
from normscope.progress import console, counted
from normscope.protocol import IDENTITY, Verdict
from normscope.report.scorecard import (
    MARKS,
    MeasuredNumber,
    in_words,
    measured_numbers,
    tally,
    wanted,
    with_interval,
)

if TYPE_CHECKING:
    from rich.console import Console

    from normscope.protocol import Claim, Result

_COLORS = {
    Verdict.HOLDS: "green", Verdict.FAILS: "red", Verdict.UNDECIDED: "yellow", Verdict.NOT_JUDGED: "cyan",
}  # fmt: skip
_OPEN = (Verdict.UNDECIDED, Verdict.NOT_JUDGED)
_DIGITS = 3
_GAP = 2
_WIDE_COLUMNS = 120
_LEAST_TEXT_COLUMNS = 48
"""A wide terminal shows the name of a claim's number where it leaves the claim's sentence this much."""
_LEAST_SENTENCE_COLUMNS = 30
"""Where a number with its interval would leave the claim's sentence less, the interval is left out."""
_MOST_LINES = 43
"""A scorecard is at most this long, so that with the paths of its files it fits 45 lines, unless it has more claims."""
_LEAST_REMARK_LINES = 4
_FEW = 2


def show_scorecard(results: Sequence[Result], *, verbose: bool = False) -> None:
    r"""Print the tally, a line per claim, notes and failures, and the tally again.

    What is to be known of the data of all results comes right below the first tally. A character that could harm a
    terminal is shown as an escape, such as ``\x1b``.

    Args:
        results: what is shown, in that order.
        verbose: after the lines, print each claim's sentence, source, test, numbers and reason; leave out nothing.
    """
    screen = console()
    results = [printable_result(result) for result in results]
    names = _names([result.id for result in results])
    lines = _claim_lines(results, names, screen.width)
    summary = _summary([claim.verdict for result in results for claim in result.claims])
    screen.print(summary, style="bold")
    data_note = _shared_data_note(results)
    head = _wrapped(data_note, screen.width)
    for words in head:
        screen.print(Text(words), soft_wrap=True)
    for line in lines:
        screen.print(line, no_wrap=True, overflow="ellipsis")
    room = max(_MOST_LINES - 3 - len(head) - len(lines), _LEAST_REMARK_LINES)
    if verbose:
        room = sys.maxsize
        for row in (row for result in results for row in result.scorecard()):
            _show_details(screen, row)
        screen.print()
    for remark in _remark_lines(_remarks(results, data_note, verbose=verbose), screen.width, room):
        screen.print(Text(remark), soft_wrap=True)
    screen.print(summary, style="bold")
    if not verbose:
        screen.print(Text(_hint(results)), style="dim", no_wrap=True, overflow="ellipsis")


def _names(ids: Sequence[str]) -> dict[str, str]:
    """The names to show: without the paper's name, and those of one data set without the data's."""
    names = {id: id.removeprefix(f"{_paper(id)}.") for id in ids}
    one_data_set = len({id.removeprefix(base_of(id)) for id in ids}) == 1
    return {id: base_of(name) if one_data_set else name for id, name in names.items()}


def _paper(id: str) -> str:
    """The name of an experiment's paper; empty for a user's sweep."""
    paper, dot, _ = id.partition(".")
    return paper if dot else ""


def _shared_data_note(results: Sequence[Result]) -> str:
    """What is to be known of the data, where it is the same of all results; else empty."""
    notes = {result.data_note for result in results}
    return notes.pop() if len(notes) == 1 else ""


def _summary(verdicts: Sequence[Verdict]) -> str:
    words = tally(verdicts)
    if Verdict.HOLDS in words and Verdict.FAILS in words:
        words[Verdict.FAILS] = words[Verdict.FAILS].removesuffix(" hold")  # "22 hold, 3 do not"
    return ", ".join(words.values())


def _hint(results: Sequence[Result]) -> str:
    claims = [claim for result in results for claim in result.claims]
    words = [
        "[low, high]: 95 % over seeds" if any(claim.comparisons for claim in claims) else "",
        *(
            f"{MARKS[verdict]} {verdict}"
            for verdict in _OPEN
            if any(claim.verdict is verdict for claim in claims)
        ),
        "--verbose: why",
    ]
    return "; ".join(filter(None, words))


@dataclasses.dataclass(frozen=True)
class _Line:
    """A claim's line: mark and experiment, the sentence, and the number that decided it, with its name.

    ``short`` is the number without its interval.
    """

    verdict: Verdict
    experiment: str
    is_first: bool
    sentence: str
    number_name: str
    number: str
    short: str

    @classmethod
    def of(cls, claim: Claim, experiment: str, *, is_first: bool) -> _Line:
        """The line of a claim; without a deciding comparison its first number is shown, unless nothing was judged."""
        name, number, short = "", "", ""
        if (one := claim.deciding) is not None:
            measured = with_interval(one.name, one.value, one.low, one.high, one.least, one.most)
            name, bounds = one.name, wanted(one.name, one.bounds)
            number, short = f"{measured.words} {bounds}", f"{measured.value} {bounds}"
            if claim.reason.startswith(IDENTITY):
                number = short = "by identity"
        elif claim.measured and claim.verdict is not Verdict.NOT_JUDGED:
            name, value = next(iter(claim.measured.items()))
            number = short = in_words(name, value, _DIGITS)
        return cls(claim.verdict, experiment, is_first, claim.text, name, number, short)

    def right(self, room: int, name_room: int) -> tuple[str, str]:
        """The number's name, if the two fit into ``name_room`` columns, and the number.

        Its interval is left out where too little of the ``room`` columns would be left to the sentence.
        """
        label = f"{self.number_name}{' ' * _GAP}"
        if self.number and cell_len(label + self.number) <= name_room:
            return label, self.number
        most = room - _GAP - min(cell_len(self.sentence), _LEAST_SENTENCE_COLUMNS)
        return "", self.number if cell_len(self.number) <= most else self.short


def _claim_lines(results: Sequence[Result], names: Mapping[str, str], width: int) -> list[Text]:
    """The lines of all claims, none wider than ``width``, with the numbers at the right edge.

    Where they are of several papers, the paper's name is above the lines of each.
    """
    lines = {
        result.id: [
            _Line.of(claim, names[result.id], is_first=number == 0)
            for number, claim in enumerate(result.claims)
        ]
        for result in results
    }
    every = [line for group in lines.values() for line in group]
    name_columns = max((cell_len(line.experiment) for line in every), default=0)
    room = width - name_columns - 2 * _GAP
    name_room = room - _LEAST_TEXT_COLUMNS - _GAP if width >= _WIDE_COLUMNS else 0
    wanted_columns = (
        cell_len(line.sentence) + _GAP + cell_len("".join(line.right(room, name_room))) for line in every
    )
    edge = min(room, max(wanted_columns, default=0))
    papers = dict.fromkeys(_paper(id) for id, group in lines.items() if group)
    shown = []
    for paper in papers:
        if len(papers) > 1:
            shown.append(Text(paper or "sweeps", "bold"))
        shown += [
            _text(line, *line.right(room, name_room), name_columns, edge)
            for id, group in lines.items()
            if _paper(id) == paper
            for line in group
        ]
    return shown


def _text(line: _Line, label: str, number: str, name_columns: int, edge: int) -> Text:
    """A line whose sentence and number take ``edge`` columns."""
    right = cell_len(label + number)
    sentence = _shortened(line.sentence, edge - right - (_GAP if right else 0))
    return Text.assemble(
        (MARKS[line.verdict], _COLORS[line.verdict]),
        (f" {line.experiment:{name_columns}}", "bold" if line.is_first else "dim"),
        f"{'':{_GAP}}{sentence}",
        " " * (edge - cell_len(sentence) - right) if right else "",
        (label, "dim"),
        number,
    )


def _shortened(sentence: str, columns: int) -> str:
    """The sentence, cut at a word's end where it is wider than so many columns."""
    words = sentence.split()
    whole = " ".join(words)
    if cell_len(whole) <= columns:
        return whole
    ends = itertools.accumulate(
        cell_len(word) + 1 for word in words
    )  # of each word, with the space or dots after it
    kept = words[: sum(1 for _ in itertools.takewhile(lambda end: end <= columns, ends))]
    return " ".join(kept) + "…" if kept else set_cell_size(whole, max(0, columns - 1)).rstrip() + "…"


def _wrapped(text: str, columns: int, indent: int = 0) -> list[str]:
    """The text in lines of at most so many columns, broken between words only: a path or an option stays whole."""
    margin = " " * indent
    return textwrap.wrap(
        text, columns, initial_indent=margin, subsequent_indent=margin,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _remarks(results: Sequence[Result], shown: str, *, verbose: bool) -> list[str]:
    """The errors, each with the number of cells that it stopped, then the notes; each once, with its experiments.

    A note that has been ``shown`` is left out.

    Unless ``verbose``, many experiments are counted rather than named.
    """
    stopped: dict[str, Counter[str]] = defaultdict(Counter)
    noted: dict[str, list[str]] = defaultdict(list)
    for result in results:
        for error in result.failures.values():
            stopped[error][result.id] += 1
        for note in result.notes:
            if note != shown:
                noted[note].append(result.id)

    def at(where: Collection[str]) -> str:
        if verbose or len(where) <= _FEW:
            return ", ".join(where)
        return "all experiments" if len(where) == len(results) else f"{len(where)} experiments"

    errors = [
        f"{at(counts)}: {counted(counts.total(), 'cell')} failed: {error}"
        for error, counts in stopped.items()
    ]
    return errors + [f"{at(where)}: {note}" for note, where in noted.items()]


def _remark_lines(remarks: Sequence[str], width: int, room: int) -> list[str]:
    """The remarks in at most ``room`` lines: whole where they fit, else a line each, else only the first ones."""
    whole = [line for remark in remarks for line in _wrapped(remark, width)]
    if len(whole) <= room:
        return whole
    cut = [_shortened(remark, width) for remark in remarks]
    if len(cut) <= room:
        return cut
    left_out = len(cut) - room + 1
    return [*cut[: room - 1], f"and {left_out:,} more: see --verbose or the page"]


def _show_details(screen: Console, row: Mapping[str, Any]) -> None:
    """Print everything that a row of the scorecard says."""
    word = Verdict(row["verdict"])
    screen.print()
    screen.print(
        Text.assemble(
            (f"{MARKS[word]} {word}", _COLORS[word]), (f"  {row['experiment']} {row['claim']}", "bold")
        )
    )
    lines = _wrapped(f"{row['text']} ({row['source']})", screen.width, _GAP)
    lines += _wrapped(f"Test: {row['expected']}", screen.width, _GAP)
    if numbers := measured_numbers(row):
        seeds = f", {counted(row['seeds'], 'seed')}" if row["seeds"] else ""
        brackets = " [95 % interval over seeds]" if row["interval"] else ""
        beside = ", and what the source has" if row["published"] else ""
        lines += _wrapped(f"Measured{seeds}{brackets}{beside}:", screen.width, _GAP)
        lines += _number_lines(numbers, screen.width)
    lines += _wrapped(row["reason"], screen.width, _GAP)
    screen.print(Text("\n".join(lines)), soft_wrap=True)


def _number_lines(numbers: Sequence[MeasuredNumber], width: int) -> list[str]:
    """The numbers below each other; a name that is too long for its column takes several lines."""
    columns = [[number.value, number.interval, _beside(number)] for number in numbers]
    value, interval, published = (max(map(cell_len, column)) for column in zip(*columns, strict=True))
    room = width - 4 * _GAP - value - interval - published - 1
    name_columns = max(1, min(room, max(cell_len(number.name) for number in numbers)))
    lines = []
    for number in numbers:
        *above, last = _wrapped(number.name, name_columns) or [""]
        line = (
            f"{last:{name_columns}}{'':{_GAP}}{number.value:>{value}} "
            f"{number.interval:{interval}}{'':{_GAP if interval else 0}}{_beside(number)}"
        )
        lines += [f"{'':{2 * _GAP}}{part}".rstrip() for part in (*above, line)]
    return lines


def _beside(number: MeasuredNumber) -> str:
    """The source's own number, as it follows a measured one."""
    return f"(published: {number.published})" if number.published else ""
