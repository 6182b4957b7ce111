"""The command line in this process, without the seconds that a process of its own takes to start."""

import sys

import pytest


@pytest.fixture
def command(capsys, monkeypatch):
    """Runs a command; returns its exit status and what it wrote to standard output and to standard error."""
    from normscope.cli import main

    monkeypatch.setattr(sys, "path", [*sys.path])  # a command may add the working directory

    def run(*arguments, cwd=None, **environment):
        if cwd is not None:
            monkeypatch.chdir(cwd)
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return end.value.code, *capsys.readouterr()

    return run
