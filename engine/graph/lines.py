"""What a drawing shows of the relations: one line for those that belong together.

A dispatch and its return are one line with two heads, a hook on the loop is one line with two
heads, and two hooks with the same verifier share a line. The JSON output and networkx keep every
relation apart; the drawings (mermaid, dot, svg) all draw these lines.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.graph.build import EdgeKind, Node, WorkflowGraph

__all__ = ["Family", "Line", "caption", "lines"]

Family = Literal["flow", "check", "order", "fallback", "uses"]

_FAMILIES: dict[EdgeKind, Family] = {
    "dispatch": "flow",
    "return": "flow",
    "verify": "check",
    "precedence": "order",
    "fallback": "fallback",
    "uses": "uses",
    "step": "flow",
    "call": "flow",
    "data": "order",
}


class Line(msgspec.Struct, frozen=True):
    """A line from `source` to `target`; `both` puts a head at either end."""

    source: str
    target: str
    family: Family
    both: bool
    label: str


def lines(graph: WorkflowGraph) -> list[Line]:
    """The lines of a drawing, in the order of the file."""
    heads: dict[tuple[str, str, Family], bool] = {}
    words: dict[tuple[str, str, Family], list[str]] = {}
    for edge in graph.edges:
        family = _FAMILIES[edge.kind]
        key = (edge.source, edge.target, family)
        back = (edge.target, edge.source, family)
        # A return runs along the line of its dispatch; a verdict goes back the way it was asked.
        if family in ("flow", "check") and back in heads and edge.source != edge.target:
            heads[back] = True
            key = back
        else:
            heads.setdefault(key, False)
        said = words.setdefault(key, [])
        word = _word(edge.kind, edge.point, edge.max_dispatches)
        if word and word not in said:
            said.append(word)
    return [Line(*key, both, ", ".join(words[key])) for key, both in heads.items()]


def _word(kind: EdgeKind, point: str | None, max_dispatches: int | None) -> str:
    if kind == "verify":
        return point or ""
    if kind == "precedence":
        return "then"
    if kind == "fallback":
        return "fallback"
    return f"at most {max_dispatches}" if max_dispatches is not None else ""


def caption(node: Node) -> str:
    """The second line in a node's box: what it is, in a few words."""
    known = node.attributes
    if node.kind == "orchestrator":
        return f"orchestrator · {known['max_rounds']} rounds"
    if node.kind == "worker":
        return f"{known['via']} worker · {known['effect']}"
    if node.kind == "verifier":
        return f"{known['via']} verifier"
    if node.kind == "gate":
        return "a person's gate"
    if node.kind == "model":
        return str(known["id"])
    if node.kind == "step":
        most = known.get("max_tasks")
        many = "" if most is None or known["does"] == "task" else f" · at most {most}"
        return f"{known['does']}{many}"
    return f"{known['via']} server"
