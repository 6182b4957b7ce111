import re
from pathlib import Path

import matplotlib as mpl
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "read-a-spectrum.md"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def words(text, rel=None):
    """The words of a printed table; with ``rel``, numbers that are not whole match within this relative distance."""
    number = re.compile(r"\d+\.\d+(e[+-]\d+)?")
    found = [float(word) if number.fullmatch(word) else word for word in text.split()]
    return [pytest.approx(word, rel=rel) if rel and isinstance(word, float) else word for word in found]


@pytest.mark.filterwarnings("error")
def test_the_code_of_the_how_to_page_runs_and_prints_what_the_page_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    mpl.use("agg")
    code = blocks("python")
    assert len(code) >= 8
    namespace: dict[str, object] = {}
    for number, block in enumerate(code, start=1):
        try:
            exec(compile(block, f"{PAGE.name}, block {number}", "exec"), namespace)
        except Exception as error:
            pytest.fail(f"block {number} of {PAGE.name} fails with {error!r}:\n{block}")
    (shown,) = blocks("text")
    assert words(capsys.readouterr().out) == words(shown, rel=0.02)
    assert {path.name for path in tmp_path.iterdir()} == {"spectrum.png", "moments.png"}
