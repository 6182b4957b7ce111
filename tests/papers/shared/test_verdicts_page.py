import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "verdicts.md"


def test_the_example_of_the_page_runs_and_prints_what_it_says(capsys):
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    exec(compile(block, PAGE.name, "exec"), {})
    verdict, numbers, reason = capsys.readouterr().out.split("\n")[:3]
    assert (verdict, reason) == ("holds", "")
    value, low, high = map(float, numbers.split())
    assert low < value < high < 1
    assert value == pytest.approx((0.03 / 0.05 * 0.035 / 0.06 * 0.03 / 0.055) ** (1 / 3))
