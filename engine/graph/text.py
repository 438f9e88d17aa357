"""A workflow's graph as text: JSON for programs, Mermaid and DOT for other tools to draw.

Names and labels may hold any character; each format escapes them in its own way, and Mermaid's
node ids are numbers of our own, so that no name can be taken for syntax.
"""

from __future__ import annotations

import json
import re

from engine.graph.build import WorkflowGraph, edge_attributes
from engine.graph.lines import Family, caption, lines

__all__ = ["to_dot", "to_json", "to_mermaid"]

_MERMAID_SHAPES = {
    "orchestrator": ("([", "])"),
    "worker": ("[", "]"),
    "verifier": ("{{", "}}"),
    "gate": ("[/", "\\]"),
    "model": ("[(", ")]"),
    "server": ("[[", "]]"),
    "step": ("(", ")"),
}

_MERMAID_COLOURS = {
    "orchestrator": "fill:#dbe9ff,stroke:#2563eb,color:#111827",
    "worker": "fill:#f3f4f6,stroke:#6b7280,color:#111827",
    "verifier": "fill:#dcfce7,stroke:#15803d,color:#111827",
    "gate": "fill:#fef3c7,stroke:#b45309,color:#111827",
    "model": "fill:#f3e8ff,stroke:#7e22ce,color:#111827",
    "server": "fill:#ffe4e6,stroke:#be123c,color:#111827",
    "step": "fill:#ecfeff,stroke:#0e7490,color:#111827",
}

_DOT_SHAPES = {
    "orchestrator": 'box, style="rounded,bold"',
    "worker": "box",
    "verifier": "hexagon",
    "gate": "octagon",
    "model": "cylinder",
    "server": "component",
    "step": 'box, style="rounded"',
}

_DOT_STYLES: dict[Family, str] = {
    "flow": "",
    "check": "color=darkgreen",
    "order": "style=dotted",
    "fallback": "style=dashed",
    "uses": "color=gray, arrowhead=none",
}


def to_json(graph: WorkflowGraph, entry: str | None) -> str:
    """`{"entry", "nodes": [...], "edges": [...]}`, every relation an edge of its own."""
    nodes = [
        {
            "name": node.name,
            "kind": node.kind,
            "doc": node.doc,
            "file": node.file,
            "line": node.line,
            **node.attributes,
        }
        for node in graph.nodes.values()
    ]
    edges = [
        {"source": edge.source, "target": edge.target, **edge_attributes(edge)}
        for edge in graph.edges
    ]
    return json.dumps({"entry": entry, "nodes": nodes, "edges": edges}, indent=2) + "\n"


def to_mermaid(graph: WorkflowGraph) -> str:
    """A Mermaid flowchart, as GitHub draws it in Markdown."""
    ids = {name: f"n{number}" for number, name in enumerate(graph.nodes)}
    written = ["flowchart LR"]
    for node in graph.nodes.values():
        left, right = _MERMAID_SHAPES[node.kind]
        label = f"{_mermaid(node.name)}<br/>{_mermaid(caption(node))}"
        written.append(f'  {ids[node.name]}{left}"{label}"{right}:::{node.kind}')
    for line in lines(graph):
        arrow = _mermaid_arrow(line.family, line.both)
        label = f'|"{_mermaid(line.label)}"|' if line.label else ""
        written.append(f"  {ids[line.source]} {arrow}{label} {ids[line.target]}")
    kinds = dict.fromkeys(node.kind for node in graph.nodes.values())
    written += [f"  classDef {kind} {_MERMAID_COLOURS[kind]}" for kind in kinds]
    return "\n".join(written) + "\n"


def to_dot(graph: WorkflowGraph) -> str:
    """A Graphviz digraph."""
    written = ["digraph workflow {", "  rankdir=LR", '  node [fontname="sans-serif"]']
    for node in graph.nodes.values():
        label = f"{_dot(node.name)}\\n{_dot(caption(node))}"
        written.append(f'  "{_dot(node.name)}" [label="{label}", shape={_DOT_SHAPES[node.kind]}]')
    for line in lines(graph):
        style = [_DOT_STYLES[line.family]] if _DOT_STYLES[line.family] else []
        if line.both:
            style.append("dir=both")
        if line.label:
            style.append(f'label="{_dot(line.label)}"')
        tail = f" [{', '.join(style)}]" if style else ""
        written.append(f'  "{_dot(line.source)}" -> "{_dot(line.target)}"{tail}')
    return "\n".join([*written, "}"]) + "\n"


def _mermaid_arrow(family: Family, both: bool) -> str:
    if family == "uses":
        return "-.-"
    if family in ("order", "fallback"):
        return "-.->"
    stem = "==>" if family == "check" else "-->"
    return f"<{stem}" if both else stem


def _mermaid(text: str) -> str:
    """Text for a quoted label: what could be syntax becomes a character reference."""
    return re.sub(r"[^\w .,:/()·-]", lambda found: f"#{ord(found[0])};", text)


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return escaped.replace("\r", " ").replace("\n", "\\n")
