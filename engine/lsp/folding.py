"""Folding ranges: bodies, text blocks, runs of comments."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types as lsp

from engine.lsp.project import Analysis
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["folding_ranges"]

_FOLDED = (ast.Body, ast.RecordBody, ast.ListExpr, ast.MapExpr)


def folding_ranges(analysis: Analysis) -> list[lsp.FoldingRange]:
    """Everything in a file that spans lines and can be folded, in order."""
    places = analysis.places(analysis.module.source)
    found: set[tuple[int, int, lsp.FoldingRangeKind]] = set()
    for start, end, kind in _ranges(analysis):
        first, last = places.position(start).line, places.position(end).line
        if last > first:
            found.add((first, last, kind))
    return [lsp.FoldingRange(first, last, kind=kind) for first, last, kind in sorted(found)]


def _ranges(analysis: Analysis) -> Iterator[tuple[int, int, lsp.FoldingRangeKind]]:
    region = lsp.FoldingRangeKind.Region
    for declaration in analysis.document.declarations:
        for node in walk(declaration):
            if isinstance(node, _FOLDED) or (isinstance(node, ast.String) and node.triple):
                # The line with the closing bracket stays to be seen.
                text = node.span.text
                end = node.span.start + max(text.rfind("\n"), 0)
                yield node.span.start, end, region
    source = analysis.module.source
    run: tuple[int, int] | None = None
    for span in analysis.document.comments:
        if run is not None and not source.text[run[1] : span.start].strip():
            run = (run[0], span.end)
            continue
        if run is not None:
            yield *run, lsp.FoldingRangeKind.Comment
        run = (span.start, span.end)
    if run is not None:
        yield *run, lsp.FoldingRangeKind.Comment
