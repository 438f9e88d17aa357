"""A workflow's graph as an SVG picture that needs nothing else to be looked at.

Boxes and labels carry their own light background and dark text, lines are of middle tones: the
picture reads on a white page and on a dark one, and does not have to know which it is on.
"""

from __future__ import annotations

import re
import unicodedata
from xml.sax.saxutils import escape as _escape_markup

from engine.graph.build import Node, NodeKind, WorkflowGraph
from engine.graph.layout import Box, Layout, Link, Route, layout
from engine.graph.lines import Family, Line, caption, lines

__all__ = ["to_svg"]

_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
_HEIGHT = 46.0

_FILLS: dict[NodeKind, tuple[str, str]] = {
    "orchestrator": ("#dbe9ff", "#2563eb"),
    "worker": ("#f3f4f6", "#6b7280"),
    "verifier": ("#dcfce7", "#15803d"),
    "gate": ("#fef3c7", "#b45309"),
    "model": ("#f3e8ff", "#7e22ce"),
    "server": ("#ffe4e6", "#be123c"),
    "step": ("#ecfeff", "#0e7490"),
}

#: Colour, width and dashes of a line.
_STROKES: dict[Family, tuple[str, float, str]] = {
    "flow": ("#3b82f6", 1.8, ""),
    "check": ("#16a34a", 1.6, ""),
    "order": ("#d97706", 1.6, "2 4"),
    "fallback": ("#a855f7", 1.4, "6 4"),
    "uses": ("#9ca3af", 1.1, ""),
}


def to_svg(graph: WorkflowGraph, title: str) -> str:
    """The picture as an SVG document; `title` is what a screen reader says."""
    drawn = lines(graph)
    shown = [line for line in drawn if line.source != line.target]
    boxes = {name: _box(node) for name, node in graph.nodes.items()}
    links = [Link(line.source, line.target, _width(line.label, 11)) for line in shown]
    plan = layout(boxes, links)
    width, height = round(plan.width), round(plan.height)
    written = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="{_FONT}">',
        f"<title>{_escape(title)}</title>",
        "<defs>",
        *(_marker(family) for family in _STROKES),
        "</defs>",
    ]
    pairs = list(zip(shown, plan.routes, strict=True))
    # What matters most is drawn last, on top.
    for family in ("uses", "fallback", "order", "check", "flow"):
        written += [_path(line, route) for line, route in pairs if line.family == family]
    written += [_loop(line, boxes[line.source], plan) for line in drawn if line not in shown]
    written += [_node(node, boxes[name], plan) for name, node in graph.nodes.items()]
    written += [_label(line, route) for line, route in pairs if line.label]
    return "\n".join([*written, "</svg>"]) + "\n"


def _box(node: Node) -> Box:
    width = max(_width(node.name, 13.5), _width(caption(node), 11)) + 28
    last = node.kind in ("model", "server")
    return Box(max(width, 110.0), _HEIGHT, 0 if node.kind == "orchestrator" else 1, last)


def _width(text: str, size: float) -> float:
    """About how wide text is, in pixels, in a common sans-serif of this size."""
    wide = sum(1 for char in text if unicodedata.east_asian_width(char) in "WF")
    return (len(text) + wide * 0.8) * size * 0.58


def _marker(family: Family) -> str:
    colour = _STROKES[family][0]
    return (
        f'<marker id="{family}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        f'<path d="M0 0.5 8 4 0 7.5z" fill="{colour}"/></marker>'
    )


def _path(line: Line, route: Route) -> str:
    colour, width, dashes = _STROKES[line.family]
    (x, y), *rest = route.points
    drawn = [f"M{x:.1f} {y:.1f}"]
    for next_x, next_y in rest:
        if abs(next_y - y) < 0.05:
            drawn.append(f"H{next_x:.1f}")
        else:
            bend = (x + next_x) / 2
            drawn.append(f"C{bend:.1f} {y:.1f} {bend:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    heads = "" if line.family == "uses" else f' marker-end="url(#{line.family})"'
    if line.both:
        heads += f' marker-start="url(#{line.family})"'
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<path d="{"".join(drawn)}" fill="none" stroke="{colour}" '
        f'stroke-width="{width}"{dashed}{heads}/>'
    )


def _loop(line: Line, box: Box, plan: Layout) -> str:
    """An orchestrator that calls itself: a small bow over its box."""
    x, y = plan.corners[line.source]
    right = x + box.width
    colour, width, _ = _STROKES[line.family]
    return (
        f'<path d="M{right - 40:.1f} {y:.1f}C{right - 40:.1f} {y - 18:.1f} {right - 14:.1f} '
        f'{y - 18:.1f} {right - 14:.1f} {y:.1f}" fill="none" stroke="{colour}" '
        f'stroke-width="{width}" marker-end="url(#{line.family})"/>'
    )


def _node(node: Node, box: Box, plan: Layout) -> str:
    x, y = plan.corners[node.name]
    fill, stroke = _FILLS[node.kind]
    middle = x + box.width / 2
    round_by = {"orchestrator": 12, "model": 22, "server": 2, "step": 10}.get(node.kind, 6)
    border = 2 if node.kind == "orchestrator" else 1.2
    about = f"<title>{_escape(node.doc)}</title>" if node.doc else ""
    return (
        f'<g>{about}<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.0f}" rx="{round_by}" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="{border}"/>'
        f'<text x="{middle:.1f}" y="{y + 20:.1f}" text-anchor="middle" font-size="13.5" '
        f'font-weight="600" fill="#111827">{_escape(node.name)}</text>'
        f'<text x="{middle:.1f}" y="{y + 36:.1f}" text-anchor="middle" font-size="11" '
        f'fill="#4b5563">{_escape(caption(node))}</text></g>'
    )


def _label(line: Line, route: Route) -> str:
    x, y = route.label
    width = _width(line.label, 11) + 10
    colour = _STROKES[line.family][0]
    return (
        f'<g><rect x="{x - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="16" rx="8" '
        f'fill="#ffffff" stroke="{colour}" stroke-width="0.8"/>'
        f'<text x="{x:.1f}" y="{y + 3.8:.1f}" text-anchor="middle" font-size="11" '
        f'fill="#374151">{_escape(line.label)}</text></g>'
    )


def _escape(text: str) -> str:
    """Text for XML: markup escaped, characters that XML forbids replaced."""
    allowed = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    return _escape_markup(allowed)
