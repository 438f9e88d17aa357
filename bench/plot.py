"""Small SVG charts: bars with groups, and lines with points. No library, the same bytes each time.

Colours are told apart by lightness too, and every value is written next to its mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#9aa5b1", "#e0a458", "#1f6f8b", "#5b3a70")
_FONT = "font-family='system-ui, sans-serif'"


@dataclass
class Bars:
    """Groups of bars; `values[i][j]` is group i, series j; None leaves a gap.

    Attributes:
        percent: Whether values are shares, shown as percent on an axis to 100 %.
        colour: The place in `COLOURS` of the first series.
    """

    title: str
    groups: Sequence[str]
    series: Sequence[str]
    values: Sequence[Sequence[float | None]]
    percent: bool = True
    colour: int = 0

    def draw(self, x: float, y: float, width: float, height: float) -> list[str]:
        top = 1.0 if self.percent else max(v or 0 for row in self.values for v in row) * 1.1
        parts = [_text(x, y - 40, self.title, 14, weight="bold")]
        parts += _legend(x, y - 20, self.series, self.colour)
        ticks = (0, 0.25, 0.5, 0.75, 1.0)
        for tick in ticks:
            at = y + height * (1 - tick)
            said = f"{tick * top:.0%}" if self.percent else f"{tick * top:,.0f}"
            parts.append(_line(x, at, x + width, at, "#dde2e7"))
            parts.append(_text(x - 6, at + 4, said, 11, anchor="end"))
        slot = width / len(self.groups)
        bar = slot * 0.8 / len(self.series)
        for i, group in enumerate(self.groups):
            for j, value in enumerate(self.values[i]):
                if value is None:
                    continue
                left = x + slot * (i + 0.1) + bar * j
                tall = height * min(1.0, value / top)
                parts.append(
                    f"<rect x='{left:.1f}' y='{y + height - tall:.1f}' width='{bar - 2:.1f}' "
                    f"height='{tall:.1f}' fill='{COLOURS[self.colour + j]}'/>"
                )
                said = f"{value * 100:.1f}" if self.percent else f"{value:,.0f}"
                above = y + height - tall - 4
                parts.append(_text(left + bar / 2 - 1, above, said, 10, anchor="middle"))
            parts.append(_text(x + slot * (i + 0.5), y + height + 18, group, 12, anchor="middle"))
        return parts


@dataclass
class Lines:
    """Points that were measured, over lines that were computed; `colour` as for bars."""

    title: str
    across: str
    xs: Sequence[float]
    series: Sequence[str]
    points: Sequence[Sequence[float]]
    lines: Sequence[Sequence[float]]
    colour: int = 0

    def draw(self, x: float, y: float, width: float, height: float) -> list[str]:
        top = max(v for row in (*self.points, *self.lines) for v in row) * 1.15
        low, high = min(self.xs), max(self.xs)

        def at(value_x: float, value_y: float) -> tuple[float, float]:
            across = 0.06 + 0.88 * (value_x - low) / (high - low)
            return x + width * across, y + height * (1 - value_y / top)

        parts = [_text(x, y - 40, self.title, 14, weight="bold")]
        parts += _legend(x, y - 20, self.series, self.colour)
        for step in range(5):
            level = y + height * (1 - step / 4)
            parts.append(_line(x, level, x + width, level, "#dde2e7"))
            parts.append(_text(x - 6, level + 4, f"{top * step / 4:.1f}", 11, anchor="end"))
        for j, line in enumerate(self.lines):
            corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in map(at, self.xs, line))
            parts.append(
                f"<polyline points='{corners}' fill='none' stroke='{COLOURS[self.colour + j]}' "
                "stroke-width='1.5'/>"
            )
        for j, row in enumerate(self.points):
            for a, b, value in ((*at(p, q), q) for p, q in zip(self.xs, row, strict=True)):
                parts.append(
                    f"<circle cx='{a:.1f}' cy='{b:.1f}' r='4' fill='{COLOURS[self.colour + j]}'/>"
                )
                parts.append(_text(a, b - 9, f"{value:.2f}", 10, anchor="middle"))
        for value in self.xs:
            across, _ = at(value, 0)
            parts.append(_text(across, y + height + 18, f"{value:g}", 12, anchor="middle"))
        parts.append(_text(x + width / 2, y + height + 38, self.across, 12, anchor="middle"))
        return parts


def page(charts: Sequence[Bars | Lines], *, width: int = 460, height: int = 240) -> str:
    """Charts side by side, as a whole SVG document."""
    whole = len(charts) * (width + 80) + 20
    tall = height + 120
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {whole} {tall}' "
        f"width='{whole}' height='{tall}' {_FONT}>",
        f"<rect width='{whole}' height='{tall}' fill='#ffffff'/>",
    ]
    for index, chart in enumerate(charts):
        parts += chart.draw(60 + index * (width + 80), 66, width, height)
    return "\n".join([*parts, "</svg>", ""])


def _legend(x: float, y: float, series: Sequence[str], first: int) -> list[str]:
    parts = []
    for j, name in enumerate(series):
        colour = COLOURS[first + j]
        parts.append(f"<rect x='{x:.1f}' y='{y - 10:.1f}' width='10' height='10' fill='{colour}'/>")
        parts.append(_text(x + 14, y, name, 11))
        x += 30 + 6.2 * len(name)
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}'/>"


def _text(
    x: float, y: float, words: str, size: int, *, anchor: str = "start", weight: str = "normal"
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' "
        f"font-weight='{weight}' fill='#22303c'>{escape(words)}</text>"
    )
