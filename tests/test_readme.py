"""The README's promises: its Python runs, its files exist, its commands are commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_two_set_up_commands_are_where_ci_finds_them():
    block = README.partition("<!-- set-up -->")[2].partition("<!-- /set-up -->")[0]
    assert [line for line in block.splitlines() if line.startswith("python3 -m venv")] == [
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt . && .venv/bin/normscope reproduce chai2020",
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[test]' && .venv/bin/pytest",
    ]


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_every_link_leads_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.xdist_group("finished")
def test_the_python_examples_run_one_after_another(tmp_path, monkeypatch, finished):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "normscope-runs").symlink_to(finished)
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "fig6.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^normscope ([a-z-]+)", README, re.MULTILINE))))
def test_every_command_is_a_command(command):
    from normscope.cli import main

    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
