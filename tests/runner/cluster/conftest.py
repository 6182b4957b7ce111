"""The engine that starts Ray on this machine, started once for all tests of Ray."""

import os
import signal

import pytest

from normscope import runner


@pytest.fixture(scope="session")
def usual_handler():
    """The handler of SIGTERM before Ray is started."""
    return signal.getsignal(signal.SIGTERM)


@pytest.fixture(scope="session")
def usual_environment():
    """The variables that concern Ray, before it is started."""
    return {name: value for name, value in os.environ.items() if name.startswith("RAY_")}


@pytest.fixture(scope="session")
def here(usual_handler, usual_environment):
    """An engine that starts Ray on this machine."""
    engine = runner.make_engine("ray")
    yield engine
    engine.close()
