"""The page of instruments names all of them, and its code runs."""

import inspect
import re
from pathlib import Path

import normscope as ns

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "instruments.md").read_text()


def test_every_instrument_is_on_the_page():
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(\w+)`", table))
    listed = {name for name in ns.probes.__all__ if callable(getattr(ns.probes, name))}
    results = {"Spectrum"}  # what spectrum_of returns
    assert named - {"ns"} == listed - results
    assert all(inspect.getdoc(getattr(ns.probes, name)) for name in named)


def test_the_pages_code_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/instruments.md", "exec"), {})
    assert "kurtosis" in capsys.readouterr().out
