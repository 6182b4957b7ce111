r"""Text as LaTeX: special characters escaped, symbols as mathematics, the rest in ASCII.

pdflatex sets the result with no package beyond its kernel. Libraries cover more characters but do not keep that
promise: of the 1,553 that pylatexenc 2.11 translates, 441 stop pdflatex, and it leaves ``λ_max``, ``10⁻³``, ``|`` and
an opening bracket after ``\\`` to the caller.
"""

from __future__ import annotations

import re
import unicodedata

_JOINER = "\N{WORD JOINER}"
_TEXT = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", '"': "''", "<": "$<$", ">": "$>$", "|": "$|$",
    # After the \\ that ends a table's row, a bracket starts its argument and an asterisk its starred form.
    "[": "{[}", "*": "{*}",
    _JOINER: "{}", "\N{NO-BREAK SPACE}": "~", "\N{NARROW NO-BREAK SPACE}": r"\,", "\N{THIN SPACE}": r"\,",
    "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "„": "``", "…": r"\dots{}", "§": r"\S{}",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}",
}  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "ς": "varsigma", "τ": "tau", "υ": "upsilon", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma",
    "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi",
    "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_SYMBOLS = {
    "×": "times", "·": "cdot", "÷": "div", "±": "pm", "∓": "mp", "≤": "le", "≥": "ge", "≠": "ne", "≈": "approx",
    "≡": "equiv", "≪": "ll", "≫": "gg", "∝": "propto", "∼": "sim", "∞": "infty", "√": "surd", "∑": "sum",
    "∏": "prod", "∫": "int", "∂": "partial", "∇": "nabla", "∈": "in", "∉": "notin", "∥": "|", "‖": "|", "→": "to",
    "←": "leftarrow", "↔": "leftrightarrow", "⇒": "Rightarrow", "⊤": "top", "∘": "circ", "ℓ": "ell", "✓": "surd",
    "✗": "times", "ϵ": "epsilon", "µ": "mu",
}  # fmt: skip
_MATHEMATICS = {"−": "-", "ᵀ": r"^{\top}", "°": r"^{\circ}", "ℝ": r"\mathrm{R}", "½": r"\frac12"}
_CHARACTERS = {
    **_TEXT,
    **{character: f"$\\{name}$" for character, name in (_GREEK | _SYMBOLS).items()},
    **{character: f"${formula}$" for character, formula in _MATHEMATICS.items()},
}
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-")
_TOKEN = re.compile(
    f"([{''.join(_GREEK)}])_([A-Za-z0-9]+)"
    f"|([{''.join(map(chr, _RAISED))}]+)|([{''.join(map(chr, _LOWERED))}]+)|(.)",
    re.DOTALL,
)
# What LaTeX's fonts would join: -- to a dash, `` '' ,, to quotes, ?` !` to Spanish marks.
_LIGATURE = re.compile("([-`',])(?=\\1)|[?!](?=`)")


def escape(text: str) -> str:
    """A text as pdflatex sets it, in any document.

    Greek letters, operators, super- and subscripts become mathematics, and ``λ_max`` becomes an indexed symbol. An
    accented letter is composed from its letter and accents. A character that LaTeX's own fonts lack, such as Chinese
    or an emoji, is named by its code point.
    """
    apart = _LIGATURE.sub(rf"\g<0>{_JOINER}", text)
    return _TOKEN.sub(_token, unicodedata.normalize("NFC", apart))


def _token(found: re.Match[str]) -> str:
    greek, index, raised, lowered, character = found.groups()
    if greek:
        return f"$\\{_GREEK[greek]}_{{{_index(index)}}}$"
    if raised:
        return f"$^{{{raised.translate(_RAISED)}}}$"
    if lowered:
        return f"$_{{{lowered.translate(_LOWERED)}}}$"
    return _character(character)


def _index(name: str) -> str:
    if name in ("min", "max"):
        return f"\\{name}"
    return name if len(name) == 1 else rf"\mathrm{{{name}}}"


def _character(character: str) -> str:
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    if character.isspace() or unicodedata.category(character).startswith("C"):
        return " "
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if not base.isascii() or (marks and not base.isalpha()):
        return f"(U+{ord(character):04X})"
    for mark in marks:
        if mark in _ACCENTS:
            base = f"\\{_ACCENTS[mark]}{{{base}}}"
    return base
