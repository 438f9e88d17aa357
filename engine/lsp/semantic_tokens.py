"""Semantic tokens: names coloured by what they are, in files and inside prompts.

Keywords, strings and numbers are left to the editor's grammar, which knows them without us.
"""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types as lsp

from engine.lsp.project import Analysis
from engine.sema.types.definitions import SCALARS
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["LEGEND", "changes", "semantic_tokens"]

_TYPES = (
    "namespace",
    "type",
    "class",
    "function",
    "method",
    "variable",
    "parameter",
    "property",
    "enumMember",
    "macro",
)
_MODIFIERS = ("declaration", "readonly", "defaultLibrary")

LEGEND = lsp.SemanticTokensLegend(list(_TYPES), list(_MODIFIERS))

#: What each kind of target looks like.
_LOOKS = {
    "import": "namespace",
    "schema": "type",
    "model": "class",
    "server": "class",
    "template": "macro",
    "worker": "function",
    "verifier": "function",
    "orchestrator": "function",
    "param": "variable",
    "secret": "variable",
    "field": "property",
    "input": "parameter",
    "mode": "enumMember",
    "step": "variable",
}
_READONLY = frozenset({"param", "secret"})


def semantic_tokens(analysis: Analysis, source: SourceFile) -> list[int]:
    """The tokens of a file, as the protocol encodes them."""
    places = analysis.places(source)
    data: list[int] = []
    line = column = 0
    for start, end, look, modifiers in sorted(_tokens(analysis, source)):
        if "\n" in source.text[start:end]:
            continue
        at = places.position(start)
        if at.line != line:
            column = 0
        length = places.length(start, end)
        data += [at.line - line, at.character - column, length, _TYPES.index(look), modifiers]
        line, column = at.line, at.character
    return data


def _tokens(analysis: Analysis, source: SourceFile) -> Iterator[tuple[int, int, str, int]]:
    index = analysis.index
    taken: set[int] = set()
    for use in index.uses(source.path):
        look = _LOOKS.get(index.real(use.target).kind)
        if look is None or use.start in taken:
            continue
        taken.add(use.start)
        readonly = index.real(use.target).kind in _READONLY
        yield use.start, use.end, look, use.declares * 1 + readonly * 2
    if source is not analysis.module.source:
        return
    for declaration in analysis.document.declarations:
        for node in walk(declaration):
            if isinstance(node, ast.Setting | ast.Block) and node.name.span.start not in taken:
                yield node.name.span.start, node.name.span.end, "property", 0
            elif isinstance(node, ast.NamedType) and node.name in SCALARS:
                yield node.span.start, node.span.end, "type", 4


def changes(before: list[int], after: list[int]) -> list[lsp.SemanticTokensEdit]:
    """What makes the tokens of before those of after: one edit, or none."""
    if before == after:
        return []
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and before[start] == after[start]:
        start += 1
    end = 0
    while end < shorter - start and before[-1 - end] == after[-1 - end]:
        end += 1
    data = after[start : len(after) - end]
    return [lsp.SemanticTokensEdit(start, len(before) - end - start, data or None)]
