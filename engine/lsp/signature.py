"""Signature help: the parameters of a template, a filter, a worker's contract, a constraint."""

from __future__ import annotations

import re
from itertools import pairwise

from lsprotocol import types as lsp

from engine.lsp.markdown import filter_signature, header
from engine.lsp.project import Analysis
from engine.sema.types.constraints import CONSTRAINTS
from engine.source import SourceFile
from engine.syntax import ast

__all__ = ["TRIGGERS", "signature_help"]

TRIGGERS = ["(", ","]

_CALLED = re.compile(r"(\||@)?\s*([^\W\d]\w*(?:\.\w+)?)\s*\Z")
_KEYWORD = re.compile(r"\A\s*([^\W\d]\w*)\s*[=:](?!=)")
_OPENING, _CLOSING = "([{", ")]}"

#: How each constraint is written.
_CONSTRAINTS = {
    "length": ["min", "max"],
    "items": ["min", "max"],
    "from": ["request", "person", "worker.field"],
}


def signature_help(analysis: Analysis, source: SourceFile, offset: int) -> lsp.SignatureHelp | None:
    """What the innermost open call before a place takes; None if there is none."""
    opened = _open_call(source.text, offset)
    if opened is None:
        return None
    start, arguments = opened
    found = _CALLED.search(source.text, max(0, start - 200), start)
    if found is None:
        return None
    mark, name = found[1], found[2]
    if mark == "|":
        made = filter_signature(name)
        if made is None:
            return None
        label, parameters, doc = made
    elif mark == "@":
        if name not in CONSTRAINTS:
            return None
        parameters = _CONSTRAINTS.get(name, ["value"])
        label = f"@{name}({', '.join(parameters)})"
        doc = f"for {CONSTRAINTS[name].belongs_to}"
    else:
        node = _declared(analysis, source, name)
        if node is None:
            return None
        inputs: tuple[ast.FieldDecl, ...] = getattr(node, "params", ())
        parameters = [" ".join(item.span.text.split()) for item in inputs]
        label = f"{name}({', '.join(parameters)})"
        doc = getattr(node, "doc", None) or header(node)
    return _help(label, parameters, doc, arguments)


def _help(label: str, parameters: list[str], doc: str, arguments: list[str]) -> lsp.SignatureHelp:
    active = len(arguments) - 1
    keyword = _KEYWORD.match(arguments[-1])
    if keyword is not None:
        names = [re.split(r"[:=]", parameter)[0].strip() for parameter in parameters]
        if keyword[1] in names:
            active = names.index(keyword[1])
    information = lsp.SignatureInformation(
        label=label,
        documentation=lsp.MarkupContent(lsp.MarkupKind.Markdown, doc) if doc else None,
        parameters=[lsp.ParameterInformation(parameter) for parameter in parameters],
    )
    return lsp.SignatureHelp([information], 0, min(active, max(len(parameters) - 1, 0)))


def _declared(analysis: Analysis, source: SourceFile, name: str) -> ast.Declaration | None:
    """The template of a name, as it is written in the program."""
    entity = analysis.entry.names.get(name)
    if entity is None and "." in name:
        alias, _, rest = name.partition(".")
        inner = analysis.entry.aliases.get(alias)
        entity = None if inner is None else inner.names.get(rest)
    return None if entity is None or entity.kind != "template" else entity.declaration


def _open_call(text: str, offset: int) -> tuple[int, list[str]] | None:
    """The offset of the innermost `(` still open, and the arguments written after it."""
    depth = 0
    commas: list[int] = []
    for at in range(offset - 1, max(-1, offset - 2_000), -1):
        character = text[at]
        if character in _CLOSING:
            depth += 1
        elif character in _OPENING:
            if depth == 0:
                if character != "(":
                    return None
                edges = [at + 1, *reversed([comma + 1 for comma in commas]), offset + 1]
                return at, [text[a : b - 1] for a, b in pairwise(edges)]
            depth -= 1
        elif character == "," and depth == 0:
            commas.append(at)
    return None
