"""Every operation on every architecture, each checked against brute force: ``python -m benchmarks.zoo``.

- ``architectures``: transformers' models from tiny configurations, without pretrained weights, and torch's own.
- ``subject``: a model ready to be checked: an input, its outputs, and a check that an operation left it untouched.
- ``brute_force``: what must come out, computed with hooks and formulas alone.
- ``surgery``, ``probes``, ``forms``: the checks, one function a column.
- ``table``: runs the checks, and prints the table.
"""
