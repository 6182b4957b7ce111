"""Writes docs/norms.md from the descriptions and signatures of the built-in norms.

python docs/write_norms.py
"""

from __future__ import annotations

import inspect
from pathlib import Path

from normscope.nn.descriptions import MEANINGS, NORMS, Axis, Description
from normscope.nn.factory import factory_of

PAGE = Path(__file__).with_name("norms.md")

HEAD = """\
# The built-in norms

`python docs/write_norms.py` writes this page from the code; a test compares the two.

A spec names a norm, with or without arguments: `batch`, `suppress(threshold=2)`, `lp(p=1, centered=false)`. It can be
used wherever a norm is named: `ns.nn.make(spec, C)`, `ns.networks`, `ns.replace_norms`, `ns.insert_norms`, and
`--norm` of `normscope sweep`. A norm of your own is `mypackage.mymodule:MyNorm(argument=value)`, a class or function
of the number of channels.

The input is (samples, channels, positions): (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W). μ, σ² and E are the
mean, the biased variance and the expectation over the axes in the table. At inference, norms with running statistics
use these instead. γ and β are the gain and the bias of a channel. The formulas leave out what an argument switches off.
"""

CHANNELS_LAST = """\
## Models with channels last

In a transformer the channels come last: (N, tokens, C). There, surgery wraps a norm in a `ChannelsLast`, which decides
by what the norm averages over:

- A norm over the channels of a sample, or over nothing, gets **each token by itself**. No token sees another, so a
  causal model stays causal.
- `batch` and its relatives get the tokens as positions. In training they average over **all tokens of all samples**: a
  token's output depends on later tokens and on other samples, so a causal model is not causal in training. At
  inference they use running statistics, and no token sees another.
- `instance` and `frn` average over **the tokens of a sample** in training and at inference, so a causal model is causal
  in neither.
"""

TAIL = """\
## In all norms

- **Empty batches.** A batch of no samples or no positions comes back as it is, and gradients of parameters are 0. In
  training it is counted in `num_batches_tracked` and changes no running statistics, as in torch's batch norm.
  `alternating` does not count it as a turn.
- **One value to normalize.** A norm refuses an input on which its output would be constant: `batch` and its relatives
  refuse one value per channel in training; `group`, `layer` and `instance` refuse one value per group. `frn` refuses
  one value per channel, of which only the sign would be left, unless `learn_eps` is set.
- **Checkpoints.** When `torch.utils.checkpoint` recomputes a forward pass, `alternating` and `noisy` repeat what they
  did in it. `alternating` changes no state a second time. The other norms by batch statistics count the batch twice, as
  torch's batch norm does.

Weight standardization is no norm of activations: `ns.standardize_weights(model)` gives the convolutions of any model
standardized weights (Qiao et al. 2019).
"""


def page() -> str:
    """The page in Markdown."""
    return "\n".join([HEAD, _table(), CHANNELS_LAST, *map(_section, NORMS), _arguments(), TAIL])


def _table() -> str:
    rows = [
        "| spec | averages over, in training | at inference | channels last: each token by itself | source |",
        "|---|---|---|---|---|",
    ]
    for name, norm in NORMS.items():
        link = f"[`{name}`](#{name})"
        rows.append(
            f"| {link} | {_axes(norm.training)} | {_at_inference(norm)} | {_per_token(norm)} | {norm.source or '–'} |"
        )
    return "\n".join(rows) + "\n"


def _section(name: str) -> str:
    norm, factory = NORMS[name], factory_of(name)
    formula = norm.formula.replace(",  ", "\n    ")
    lines = [f"## {name}", "", f"{norm.summary[0].upper()}{norm.summary[1:]}.", "", f"    {formula}", ""]
    lines.append(f"`{_signature(name)}`")
    if norm.source:
        lines[-1] += f" · {norm.source}"
    if inspect.isclass(factory):
        lines[-1] += f" · `ns.nn.{factory.__name__}`"
    return "\n".join(lines) + "\n"


def _signature(name: str) -> str:
    parameters = inspect.signature(factory_of(name)).parameters
    given = [f"{argument}={_literal(parameters[argument].default)}" for argument in NORMS[name].arguments]
    return f"{name}({', '.join(given)})" if given else name


def _literal(value: object) -> str:
    """A default as a spec may spell it."""
    return str(value).lower() if value is None or isinstance(value, bool) else f"{value:g}"


def _arguments() -> str:
    rows = ["## Arguments", "", "| argument | meaning | norms |", "|---|---|---|"]
    for argument, meaning in sorted(MEANINGS.items()):
        users = ", ".join(name for name, norm in NORMS.items() if argument in norm.arguments)
        rows.append(f"| `{argument}` | {meaning} | {users} |")
    return "\n".join(rows) + "\n"


def _axes(axes: tuple[Axis, ...]) -> str:
    return ", ".join(axes) or "nothing"


def _at_inference(norm: Description) -> str:
    return "running statistics" if norm.training and not norm.inference else _axes(norm.inference)


def _per_token(norm: Description) -> str:
    if norm.per_token:
        return "yes"
    return "no" if norm.inference else "at inference only"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
