"""Text as LaTeX that pdflatex sets without further packages: special characters escaped, symbols as mathematics."""

from __future__ import annotations

import re
import unicodedata

_JOINER = "\N{WORD JOINER}"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    '"': "''",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "[": "{[}",  # after the end of a row a bracket would be taken for its argument
    "*": "{*}",  # and an asterisk for its star
    _JOINER: "{}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "\N{THIN SPACE}": r"\,",
}
_PUNCTUATION = {
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "„": "``",
    "…": r"\dots{}",
    "§": r"\S{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
_MATHEMATICS = {
    "×": r"\times",
    "·": r"\cdot",
    "÷": r"\div",
    "±": r"\pm",
    "∓": r"\mp",
    "−": "-",
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "≈": r"\approx",
    "≡": r"\equiv",
    "≪": r"\ll",
    "≫": r"\gg",
    "∝": r"\propto",
    "∼": r"\sim",
    "∞": r"\infty",
    "√": r"\surd",
    "∑": r"\sum",
    "∏": r"\prod",
    "∫": r"\int",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∈": r"\in",
    "∉": r"\notin",
    "∥": r"\|",
    "‖": r"\|",
    "→": r"\to",
    "←": r"\leftarrow",
    "↔": r"\leftrightarrow",
    "⇒": r"\Rightarrow",
    "⊤": r"\top",
    "ᵀ": r"^{\top}",
    "°": r"^{\circ}",
    "∘": r"\circ",
    "ℓ": r"\ell",
    "ℝ": r"\mathrm{R}",
    "½": r"\frac12",
    "✓": r"\surd",
    "✗": r"\times",
    "ϵ": r"\epsilon",
    "µ": r"\mu",
}
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "ς": "varsigma", "τ": "tau", "υ": "upsilon", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma",
    "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi",
    "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
_RAISED = {ord(character): digit for character, digit in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True)}
_LOWERED = {ord(character): digit for character, digit in zip("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-", strict=True)}
_INDEXED = re.compile(f"([{''.join(_GREEK)}])_([A-Za-z0-9]+)")
_TOKEN = re.compile(
    f"{_INDEXED.pattern}|([{''.join(map(chr, _RAISED))}]+)|([{''.join(map(chr, _LOWERED))}]+)|(\\s)|(.)",
    re.DOTALL,
)
_LIGATURE = re.compile("([-`',])(?=\\1)|[?!](?=`)")  # two hyphens are no dash
_OPERATORS = ("min", "max")


def escape(text: str) -> str:
    """A text that pdflatex sets as it reads, in any document of UTF-8, with no package beyond the kernel.

    Greek letters, operators, super- and subscripts become mathematics, and ``λ_max`` an indexed symbol. A letter with
    an accent is composed. What LaTeX's own fonts lack, such as Chinese or an emoji, is named by its code point.
    """
    apart = _LIGATURE.sub(rf"\g<0>{_JOINER}", text)
    return _TOKEN.sub(_token, unicodedata.normalize("NFC", apart))


def _token(found: re.Match[str]) -> str:
    greek, index, raised, lowered, space, other = found.groups()
    if greek:
        return f"$\\{_GREEK[greek]}_{{{_index(index)}}}$"
    if raised:
        return f"$^{{{raised.translate(_RAISED)}}}$"
    if lowered:
        return f"$_{{{lowered.translate(_LOWERED)}}}$"
    return _character(space or other)


def _index(name: str) -> str:
    if name in _OPERATORS:
        return f"\\{name}"
    return name if len(name) == 1 else rf"\mathrm{{{name}}}"


def _character(character: str) -> str:
    for table, form in ((_SPECIAL, "{}"), (_PUNCTUATION, "{}"), (_MATHEMATICS, "${}$"), (_GREEK, "$\\{}$")):
        if character in table:
            return form.format(table[character])
    if character.isspace() or unicodedata.category(character).startswith("C"):
        return " "
    if character.isascii():
        return character
    return _accented(character)


def _accented(character: str) -> str:
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if not (base.isascii() and base.isalpha()):
        return f"(U+{ord(character):04X})"
    for mark in marks:
        if mark in _ACCENTS:
            base = f"\\{_ACCENTS[mark]}{{{base}}}"
    return base
