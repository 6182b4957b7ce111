"""``normscope info``."""

from __future__ import annotations


def command() -> None:
    """Print versions, cores and data folders: what a bug report should contain."""
    import os

    from normscope import devices, runner
    from normscope.data import locations
    from normscope.papers import catalogue
    from normscope.progress import say
    from normscope.results.page import environment

    lines = {
        **environment(),
        "cores": str(runner.available_cores()),
        "devices": ", ".join(_device(kind) for kind in devices.KINDS if devices.is_here(kind)),
        "experiments": str(len(catalogue.ENTRIES)),
        "NORMSCOPE_DATA": os.environ.get("NORMSCOPE_DATA", "not set"),
        "cache": str(locations.cache_folders()[0]),
    }
    width = max(map(len, lines))
    for name, value in lines.items():
        say(f"{name:{width}}  {value}")


def _device(kind: str) -> str:
    """A kind of device, with its makers' names if it is an accelerator."""
    from normscope import devices

    models = devices.models(kind)
    return f"{kind} ({', '.join(models)})" if models else kind
