"""Writes docs/gallery.md and its figures from stored results. Nothing is run, judged or drawn.

python docs/write_gallery.py [RESULTS_DIR ...]

An experiment that no folder holds keeps the section that the page has, so that one paper can be measured at a time. One
that the page lacks, too, is listed as not measured. Without folders only the list of contents is renewed.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from normscope.errors import InputError, printable
from normscope.papers import catalogue
from normscope.papers.entry import Entry
from normscope.report.page import Section
from normscope.report.scorecard import MARKS, deciding_number, measured_numbers, tally, verdict
from normscope.results import ResultsFolder
from normscope.results import page as results_page
from normscope.results.contents import read_others

PAGE = Path(__file__).with_name("gallery.md")
IMAGES = "images/gallery"
"""The folder of the figures, seen from the page's."""

HEAD = f"""\
# Gallery

Every experiment of the papers as it was measured here: its figure, its settings, and each claim with its verdict and
the number that decided it. `normscope reproduce NAME --scale laptop` measures one, and
`python docs/write_gallery.py RESULTS_DIR` writes this page from the folder.

{", ".join(f"{mark} {word}" for word, mark in MARKS.items())}. A number with brackets is a mean over seeds with its 95 %
interval; the range that the claim wants follows. [Verdicts](verdicts.md) says how a claim is decided.
"""

_FIGURE_BYTES = 115_000
"""A figure is at most this large, unless its last form is larger: 35 of them are 4 MB."""

_FORMS = ((1400, 256), (1400, 64), (1100, 48), (800, 32))
"""The forms of a figure, from good to small: its width in pixels and its number of colours."""

_SECTION = re.compile(r"^<!-- (\S+) -->\n(.*?)^<!-- end -->\n", re.MULTILINE | re.DOTALL)
_STATUS = re.compile(r"^\*Measured: (.*)\*$", re.MULTILINE)
_SPECIAL = re.compile(r"[\\`*\[\]<>|$#~]|(?<!\w)_|_(?!\w)")


def main(folders: Iterable[ResultsFolder], page: Path = PAGE) -> None:
    """Write the page and the figures of every experiment that a folder holds; of several folders the last one counts.

    Raises:
        InputError: when a folder holds no experiment of the catalogue, or its scorecard is damaged.
    """
    sections = dict(_SECTION.findall(page.read_text(encoding="utf-8"))) if page.exists() else {}
    images = page.parent / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        for section in _stored(folder):
            sections[section.id] = _section(section)
            if section.bitmap is not None:
                (images / f"{section.id}.png").write_bytes(small(section.bitmap))
    names = {entry.id for entry in catalogue.ENTRIES}
    shown = {id: text for id, text in sections.items() if id in names}
    for image in images.glob("*.png"):
        if f"({IMAGES}/{image.name})" not in "".join(shown.values()):
            image.unlink()
    page.write_text(_page(shown), encoding="utf-8")


def small(figure: bytes) -> bytes:
    """A figure's PNG file with fewer colours and, where it is still too large, fewer pixels."""
    with Image.open(io.BytesIO(figure)) as opened:
        picture = Image.new("RGB", opened.size, "white")
        picture.paste(opened, mask=opened.getchannel("A") if opened.mode == "RGBA" else None)
    content = b""
    for width, colours in _FORMS:
        form = picture
        if picture.width > width:
            form = picture.resize(
                (width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS
            )
        file = io.BytesIO()
        form.quantize(colours, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        content = file.getvalue()
        if len(content) <= _FIGURE_BYTES:
            break
    return content


def _stored(folder: ResultsFolder) -> list[Section]:
    """What a folder holds of the catalogue's experiments on their own data, as the folder's own page shows it."""
    contents = read_others(folder, [], judge=False)
    for id, fault in contents.faults.items():
        print(f"{printable(id)} is left out: {printable(fault.why)}.", file=sys.stderr)
    known = {entry.id for entry in catalogue.ENTRIES}
    chapters = results_page.chapters(contents, folder.scorecard.read())
    found = [section for chapter in chapters for section in chapter.sections if section.id in known]
    if not found:
        raise InputError(
            f"{folder} holds no experiment of the catalogue: name a folder that reproduce has written."
        )
    return found


def _page(sections: Mapping[str, str]) -> str:
    """The page in Markdown, from its sections by the experiments' names."""
    parts = [HEAD, "## Contents", ""]
    papers = list(dict.fromkeys(entry.paper for entry in catalogue.ENTRIES))
    entries = {paper: [entry for entry in catalogue.ENTRIES if entry.paper == paper] for paper in papers}
    for paper in papers:
        parts += [f"**[{_text(paper.title)}](#{paper.id})** ({_text(paper.citation)})", ""]
        parts += [*(_contents_line(entry, sections.get(entry.id)) for entry in entries[paper]), ""]
    for paper in papers:
        parts += [f'<a id="{paper.id}"></a>', f"## {_text(paper.title)}", "", _text(paper.reference), ""]
        parts += [_text(paper.summary), ""]
        for entry in entries[paper]:
            if entry.id in sections:
                parts += [f"<!-- {entry.id} -->", f"{sections[entry.id]}<!-- end -->", ""]
    return "\n".join(parts)


def _contents_line(entry: Entry, section: str | None) -> str:
    names = ", ".join(f"`{name}`" for name in (entry.id, *entry.aliases))
    if section is None:
        return f"- {entry.place}, {_text(entry.title)} ({names}): not measured"
    status = _STATUS.search(section)
    return f"- [{entry.place}](#{entry.id}), {_text(entry.title)} ({names}): {status[1] if status else 'measured'}"


def _section(section: Section) -> str:
    """The part of the page that shows an experiment, from its anchor to its settings."""
    entry = next(entry for entry in catalogue.ENTRIES if entry.id == section.id)
    anchors = "".join(f'<a id="{name}"></a>' for name in (entry.id, *entry.aliases))
    lines = [
        anchors,
        f"### {section.place}: {_text(section.title)}",
        "",
        f"*Measured: {_status(section)}*",
        "",
    ]
    lines += [f"**{_text(section.question)}** {_text(section.method)}", ""]
    if section.bitmap is not None:
        lines += [
            f"![{section.place}, measured here]({IMAGES}/{section.id}.png)",
            "",
            _text(section.caption),
            "",
        ]
    for remark in (*section.notes, *_failures(section)):
        lines += [f"> {_text(remark)}", ""]
    for row in section.claims:
        lines += _claim(row)
    lines += ["", "<details><summary>Settings</summary>", ""]
    lines += [f"- {_text(name)}: {_text(value)}" for name, value in section.settings.items()]
    return "\n".join([*lines, "", "</details>", ""])


def _status(section: Section) -> str:
    """The scale, the data, the seeds and the tally, in one line."""
    seeds = sorted({row["seeds"] for row in section.claims if row["seeds"]})
    words = [f"{section.scale} scale", next((row["data"] for row in section.claims if row.get("data")), "")]
    if seeds:
        words.append(
            f"{' to '.join(map(str, dict.fromkeys([seeds[0], seeds[-1]])))} seed{'s' if seeds[-1] > 1 else ''}"
        )
    counts = ", ".join(tally(map(verdict, section.claims)).values())
    return f"{_text(', '.join(filter(None, words)))}: {counts or 'no claim'}"


def _failures(section: Section) -> Iterator[str]:
    for error, cells in section.errors:
        yield f"{len(cells)} cell{'s' if len(cells) > 1 else ''} failed: {error}"


def _claim(row: Mapping[str, Any]) -> list[str]:
    """The lines of a claim: its verdict and sentence, its test, the deciding number, the source's, and remarks."""
    lines = [f"- {MARKS[verdict(row)]} **{verdict(row)}**: {_text(row['text'])} ({_text(row['source'])})"]
    lines.append(f"  - Test: {_text(row['expected'])}")
    if number := deciding_number(row):
        lines.append(f"  - Measured: {_text(number.name)} {_text(number.words)}")
    if row["reason"]:
        lines.append(f"  - {_text(row['reason'])}")
    return [*lines, *_published(row)]


def _published(row: Mapping[str, Any]) -> Sequence[str]:
    """A table of the numbers that the source has, too; empty where it has none."""
    numbers = [number for number in measured_numbers(row) if number.published]
    if not numbers:
        return ()
    cells = [[number.name, number.words, number.published] for number in numbers]
    rows = [["", "here", "published"], ["---", "--:", "--:"], *([*map(_text, cell)] for cell in cells)]
    return ["", *(f"  | {' | '.join(row)} |" for row in rows), ""]


def _text(text: str) -> str:
    """A text on one line, in which no character is markup."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(printable(text, keep="\t\n\r").split(None)))


if __name__ == "__main__":
    try:
        main(map(ResultsFolder, sys.argv[1:]))
    except InputError as error:
        sys.exit(str(error))
