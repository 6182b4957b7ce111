"""``normscope info``."""

from __future__ import annotations


def info() -> None:
    """Versions, cores, and where data and results stand: what to put into a bug report."""
    import os

    from normscope import runner
    from normscope.data import locations
    from normscope.papers import catalogue
    from normscope.results import stored

    lines = {
        **stored.environment(),
        "cores": str(runner.available_cores()),
        "experiments": str(len(catalogue.ENTRIES)),
        "NORMSCOPE_DATA": os.environ.get("NORMSCOPE_DATA", "not set"),
        "cache": str(locations.cache_folders()[0]),
    }
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:{width}}  {value}")
