"""Texts and numbers that a received folder may hold to harm whoever looks at it, and scorecard rows that carry them."""

from typing import Any

LONG = 100_000

TEXTS = {
    "script": "</style></title><script>document.title='ran'</script>",
    "handler": "\"'><img src=x onerror=\"document.title='ran'\"><svg onload=document.title='ran'>",
    "address": "javascript:document.title='ran'",
    "template": "{{ 7 * 7 }}{% include 'x' %}{0.__class__}",
    "tex": r"\input{/etc/passwd}\immediate\write18{id}\csname end\endcsname }{ }} $x$ # % & ~ ^^5c \\[9cm] \\*",
    "tex comment": "%\n\\end{document}\n\\catcode`\\@=0",
    "formula": "=cmd|' /C calc'!A0",
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "  -2+3+cmd|' /C calc'!A0",
    "at": "@SUM(1+9)*cmd|' /C calc'!A0",
    "full-width": "\N{FULLWIDTH EQUALS SIGN}cmd|' /C calc'!A0",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "second cell": 'x;=cmd|A0\n=cmd|A0\t"=cmd|A0"',
    "quotes": "a \"quoted\", 'one'; two\nthree\r\nfour",
    "title": "\x1b]0;mine\x07\x1b[2J\x1b[31m",
    "c1": "\x9b31m\x85\x90",
    "nul": "a\x00b\x7f\x08",
    "surrogate": "a\ud800b\udfffc\udcff",
    "bidi": "\N{RIGHT-TO-LEFT OVERRIDE}sdloh\N{POP DIRECTIONAL FORMATTING}\N{FIRST STRONG ISOLATE}",
    "noncharacter": "\uffff\ufffe\U0010ffff\N{LINE SEPARATOR}\N{ZERO WIDTH NO-BREAK SPACE}",
    "mathematics": r"$\frac{1}{0}$ $ \$ _a ^b $\includegraphics{/etc/passwd}$",
    "path": "../../../etc/passwd",
    "empty": "",
    "spaces": " \t ",
    "anchor": "figure:here#x?y&z=1%41",
    "long": "<\"'&>" * (LONG // 5),
    "long words": "=a " * (LONG // 3),
    "long line": "W" * LONG,
    "long spaces": "x" + "\n" * LONG + "y",
    "long marks": "e" + "\N{COMBINING ACUTE ACCENT}" * LONG,
    "long dots": "a." * (LONG // 2),
}
"""Hostile texts by the attack that each one tries."""

NUMBERS: dict[str, Any] = {
    "400 digits": 10**400,
    "minus 400 digits": -(10**400),
    "5000 digits": 10**5000,
    "largest": 1.7976931348623157e308,
    "smallest": 5e-324,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "true": True,
    "null": None,
    "text of a number": "1e5",
    "text of no number": "=1+1",
    "text of 400 digits": "9" * 400,
    "script": TEXTS["script"],
    "surrogate": TEXTS["surrogate"],
    "long": TEXTS["long line"],
    "list": [1, 2],
    "mapping": {"a": 1},
}
"""Values of a measured number, most of which the reader of the file refuses."""

ROW_FIELDS = (
    "experiment", "claim", "text", "source", "expected", "reason", "scale", "data", "data_note", "measured", "interval",
)  # fmt: skip
"""The fields of a scorecard's row that hold text; the text of ``measured`` and ``interval`` is a number's name."""


def row(field: str = "", value: Any = None, **changes: Any) -> dict[str, Any]:
    """A sound row of a scorecard with one hostile text in a field."""
    fields: dict[str, Any] = {
        "experiment": "p.fig1", "claim": "a", "text": "Norms help.", "source": "P 2020", "expected": "a > b",
        "measured": {"a": 2.0, "b": "inf"}, "holds": None, "verdict": "undecided", "interval": {"a": [1.5, 2.5]},
        "reason": "Few seeds.", "scale": "quick", "seeds": 3, "data": "digits", "data_note": "Judged on digits.",
        "bounds": {"a": {"most": 3.0}}, "deciding": "a", "published": {"a": 2.5},
    }  # fmt: skip
    if field in ("measured", "interval"):
        fields |= {"measured": {value: 2.0, "b": 1.0}, "interval": {value: [1.5, 2.5]}, "deciding": value}
        fields |= {"bounds": {value: {"most": 3.0}}, "published": {value: 2.5, f"{value} elsewhere": 1.0}}
    elif field:
        fields[field] = value
    return fields | changes


def row_of_number(value: Any) -> dict[str, Any]:
    """A row that has the value as a measured number, as one with an interval, and as an interval's end."""
    return row(
        measured={"a": value, "error b": value, "c": 1.0, "error d": value},
        interval={"c": [value, value], "error d": [value, 1.0]},
    )
