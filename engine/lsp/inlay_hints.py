"""Inlay hints: the most that a run of an orchestrator can take, and the types of steps."""

from __future__ import annotations

from lsprotocol import types as lsp

from engine.bounds import amount, as_text, dollars
from engine.lsp.markdown import about_bound, header
from engine.lsp.project import Analysis
from engine.syntax import ast

__all__ = ["inlay_hints"]


def inlay_hints(analysis: Analysis, start: int, end: int) -> list[lsp.InlayHint]:
    """The hints between two offsets of a file; none while the program has errors."""
    places = analysis.places(analysis.module.source)
    found = []
    for target, type_ in analysis.index.steps(analysis.module.path):
        if start <= target.end <= end:
            found.append(
                lsp.InlayHint(
                    position=places.position(target.end),
                    label=f": {type_}",
                    kind=lsp.InlayHintKind.Type,
                )
            )
    for entity in analysis.entry.own("orchestrator"):
        node = entity.declaration
        bound = analysis.bounds.get(entity.canonical)
        if not isinstance(node, ast.OrchestratorDecl) or bound is None:
            continue
        at = node.span.start + len(header(node))
        if not start <= at <= end:
            continue
        total = bound.total
        label = f"≤ {amount(bound.rounds)} rounds, {amount(total.model_calls)} calls, "
        label += dollars(total.cost_usd)
        words = f"{about_bound(bound)}\n\n```\n{as_text([bound])}\n```"
        found.append(
            lsp.InlayHint(
                position=places.position(at),
                label=label,
                tooltip=lsp.MarkupContent(lsp.MarkupKind.Markdown, words),
                padding_left=True,
                padding_right=True,
            )
        )
    return found
