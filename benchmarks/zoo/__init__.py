"""Every operation on every architecture, each checked against brute force: ``python -m benchmarks.zoo``.

- ``architectures``: transformers' models from tiny configurations, without pretrained weights, and torch's own; they
  are listed in ``language`` and ``images_and_sound``, and ``architecture`` says what one is.
- ``subject``: a model ready to be checked, its inputs and outputs, and a check that an operation left it untouched.
- ``brute_force``: what must come out, computed with hooks and formulas alone; ``uses``: what reaches every layer.
- ``laws``: what every operation of surgery must keep.
- ``surgery``, ``probes``, ``forms``: the checks, one function a column; ``check`` runs one of them.
- ``table``: the columns, and the text of the table.
"""
