import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "swap-the-norm.md"


def test_the_code_of_the_how_to_page_runs():
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 8
    namespace: dict[str, object] = {}
    for number, block in enumerate(blocks, start=1):
        try:
            exec(compile(block, f"{PAGE.name}, block {number}", "exec"), namespace)
        except Exception as error:
            pytest.fail(f"block {number} of {PAGE.name} fails with {error!r}:\n{block}")
