"""Draws docs/autocorrelation.svg: pairs of taps, the pixels that they multiply, and the segments that they share.

python docs/draw_autocorrelation.py
"""

from pathlib import Path

from normscope.probes._autocorrelation.lags import lags_along

SIZE, KERNEL, CELL = 7, 3, 34
COLOURS = ("#4477aa", "#ee6677", "#228833")
LINES: list[str] = []


def text(
    x: float, y: float, words: str, size: int = 13, anchor: str = "start", weight: str = "normal"
) -> None:
    """Add words."""
    LINES.append(
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>'
    )


def box(x: float, y: float, width: float, height: float, fill: str, opacity: float = 1) -> None:
    """Add a framed rectangle."""
    LINES.append(
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}" fill-opacity="{opacity}" '
        'stroke="#333" stroke-width="1"/>'
    )


def pixels(left: float) -> None:
    """Add a row for each pair of taps, with its pixels filled, and below each lag its segments."""
    top = 50.0
    text(
        left,
        24,
        f"Image of {SIZE} pixels, kernel {KERNEL}: the left pixel u of each product",
        14,
        weight="bold",
    )
    for u in range(SIZE):
        text(left + 130 + (u + 0.5) * CELL, top, f"u={u}", 11, "middle")
    y = top + 10
    lags = [lag for lag in lags_along(SIZE, KERNEL, 1, 1, 0, SIZE - KERNEL + 1) if lag.shift >= 0]
    for lag, colour in zip(lags, COLOURS, strict=True):
        text(left, y + 15, f"lag {lag.shift}:  x[u]·x[u+{lag.shift}]", 13, weight="bold")
        for i, j, first, last in lag.pairs:
            for u in range(SIZE):
                inside = lag.segments[first][0] <= u < lag.segments[last - 1][1]
                box(left + 130 + u * CELL, y, CELL, 18, colour if inside else "#fff", 0.75 if inside else 1)
            text(left + 138 + SIZE * CELL, y + 14, f"taps ({i}, {j})", 12)
            y += 20
        for first, last in lag.segments:
            x, width = left + 130 + first * CELL, (last - first) * CELL
            LINES.append(
                f'<path d="M{x + 2},{y + 3} v6 h{width - 4} v-6" fill="none" stroke="{colour}" stroke-width="2"/>'
            )
            longest = max(b - a for a, b in lag.segments)
            word = "core" if last - first == longest and longest > 1 else "strip"
            text(x + width / 2, y + 22, word, 10, "middle")
        y += 38


def matrix(left: float) -> None:
    """Add R as blocks of pairs of taps, coloured by lag."""
    text(left, 24, "R: one C×C block per pair of taps", 14, weight="bold")
    side = 58
    for i in range(KERNEL):
        text(left + 20 + (i + 0.5) * side, 50, f"tap {i}", 11, "middle")
        for j in range(KERNEL):
            box(
                left + 20 + j * side, 60 + i * side, side, side, COLOURS[abs(j - i)], 0.75 if j >= i else 0.25
            )
            word = f"lag {j - i}" if j >= i else "mirrored"
            text(left + 20 + (j + 0.5) * side, 60 + (i + 0.55) * side, word, 11, "middle")
    text(left + 20, 260, "same colour, same products:", 12)
    text(left + 20, 277, "9 blocks, 3 lags to multiply", 12)


def main() -> None:
    """Write the picture to the folder of this file."""
    pixels(20)
    matrix(510)
    picture = "\n".join(LINES)
    style = 'font-family="sans-serif" fill="#111"'
    size = 'viewBox="0 0 730 300" width="730" height="300"'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{ground}\n<g {style}>\n{picture}\n</g></svg>\n'
    Path(__file__).with_name("autocorrelation.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
