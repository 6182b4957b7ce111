"""What all tests share: no test reads or writes a user's cache, and none uses the network."""

import os
from pathlib import Path

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``needs_data(name)`` where the official files of that data set are not at hand."""
    for marker in item.iter_markers("needs_data"):
        (name,) = marker.args
        root = os.environ.get("NORMSCOPE_DATA", "")
        if not root:
            pytest.skip(f"needs the official files of {name}, and NORMSCOPE_DATA is not set")
        if not (Path(root) / name).is_dir():
            pytest.skip(f"needs the official files of {name}, and NORMSCOPE_DATA holds none")


@pytest.fixture(scope="session", autouse=True)
def _session_cache(tmp_path_factory: pytest.TempPathFactory):
    """One cache for the whole session, processes it starts included, so that data are prepared once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NORMSCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
