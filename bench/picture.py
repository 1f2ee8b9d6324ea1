"""A line picture with logarithmic axes as SVG: what is measured, at the points where it was measured.

Written by hand, since a few lines and words need no library. Each line is named at its right end, in its colour; names
that would lie upon each other are moved apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

Line = Sequence[tuple[float, float]]
"""Points by x; both above zero."""

_COLOURS = (
    "#0b62a4",
    "#c8501e",
    "#2e7d32",
    "#7b3fa0",
    "#b8860b",
    "#00838f",
    "#ad1457",
    "#5d4037",
    "#455a64",
    "#7a9a01",
)
_LEFT, _TOP, _BOTTOM, _NAMES = 84, 76, 58, 400
_NAME_HEIGHT = 17


def chart(
    title: str, below: str, across: str, lines: Mapping[str, Line], figure: Callable[[float], str], slope: bool = True
) -> str:
    """The picture, 1040 by 560. below: a sentence under the title. across: what x counts. figure: writes a value of y.

    slope: a dashed line shows what grows tenfold with a tenfold x.
    """
    width, height = 1040, 560
    right, bottom = width - _NAMES, height - _BOTTOM
    xs = sorted({x for line in lines.values() for x, _ in line})
    ys = [y for line in lines.values() for _, y in line]
    x0, x1 = math.log10(xs[0]), math.log10(xs[-1])
    y0, y1 = _decades(min(ys), max(ys))

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (math.log10(x) - x0) / ((x1 - x0) or 1) * (right - _LEFT),
            bottom - (math.log10(y) - y0) / (y1 - y0) * (bottom - _TOP),
        )

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="24" y="32" font-size="18" font-weight="bold">{escape(title)}</text>',
        f'<text x="24" y="53" fill="#666">{escape(below)}</text>',
    ]
    for value in _ticks(y0, y1):
        _, y = at(xs[0], value)
        colour = "#ddd" if math.log10(value).is_integer() else "#f0f0f0"
        out.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="{colour}"/>')
        if math.log10(value).is_integer():
            out.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(figure(value))}</text>')
    for x in xs:
        place, _ = at(x, ys[0])
        out.append(f'<path d="M{place:.1f} {_TOP}V{bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{place:.1f}" y="{bottom + 20}" text-anchor="middle">{x:,.0f}</text>')
    out.append(f'<text x="{(_LEFT + right) / 2}" y="{height - 14}" text-anchor="middle">{escape(across)}</text>')
    if slope:
        out.append(_slope(at, xs[0], xs[-1], 10**y0, 10**y1))
    ends: list[tuple[float, str, str]] = []
    for (name, line), colour in zip(lines.items(), _COLOURS, strict=False):
        points = [at(x, y) for x, y in sorted(line)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>' for x, y in points]
        ends.append((points[-1][1], f"{name}, {figure(sorted(line)[-1][1])}", colour))
    for place, (y, name, colour) in zip(_apart([y for y, *_ in sorted(ends)], _TOP, bottom), sorted(ends), strict=True):
        out.append(f'<path d="M{right + 5} {y:.1f}L{right + 18} {place:.1f}" stroke="{colour}" fill="none"/>')
        out.append(f'<text x="{right + 22}" y="{place + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>", ""])


def _decades(low: float, high: float) -> tuple[int, int]:
    """Whole powers of ten around all values, at least one decade."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return first, max(last, first + 1)


def _ticks(first: int, last: int) -> list[float]:
    return [n * 10.0**power for power in range(first, last) for n in range(1, 10)] + [10.0**last]


def _slope(
    at: Callable[[float, float], tuple[float, float]], left: float, right: float, low: float, high: float
) -> str:
    """A line of proportional growth through the middle of the picture, as far as it lies within."""
    middle = math.sqrt(left * right), math.sqrt(low * high)
    factor = min(right / middle[0], high / middle[1])
    (ax, ay), (bx, by) = (at(middle[0] * f, middle[1] * f) for f in (1 / factor, factor))
    return f'<path d="M{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}" stroke="#bbb" stroke-dasharray="5 5"/>'


def _apart(places: Sequence[float], top: float, bottom: float) -> list[float]:
    """Heights of names, ascending, none nearer to another than a line of text, near to where they belong."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + _NAME_HEIGHT) if found else max(place, top))
    limit = bottom + 6.0
    for i in range(len(found) - 1, -1, -1):
        found[i] = min(found[i], limit)
        limit = found[i] - _NAME_HEIGHT
    return found
