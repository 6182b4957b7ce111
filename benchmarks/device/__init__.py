"""Every layer, instrument and cell on a device against the CPU's numbers, and how fast the device is.

    python -m benchmarks.device [--device cuda] [--seconds 420] [--quick] [--data NAME] [--out FILE]

``layers``, ``probes`` and ``cells`` check, each with a table that a new layer, instrument or cell is added to;
``speeds`` and ``training`` measure. ``report`` prints the lines, as Markdown for docs/gpu.md, keeps the time, and
counts what failed; ``__main__`` is the way through.
"""
