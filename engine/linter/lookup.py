"""Where in the entry file something is written, and fixes that add to it.

The checked program keeps values, and the place of a declaration's name; a rule that points into a
body, or whose fix writes into one, looks it up in the tree. What is computed or written in another
file has no place here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.diagnostics import Fix
from engine.diagnostics.edits import appended
from engine.linter.subject import Subject
from engine.sema.model import Orchestrator
from engine.source import Span
from engine.syntax import ast
from engine.syntax.dotted import dotted
from engine.syntax.visitor import walk

__all__ = [
    "adding",
    "block_at",
    "block_of",
    "blocks_of",
    "body_of",
    "item_span",
    "member_span",
    "setting_of",
    "strings_in",
    "varies",
]


def body_of(subject: Subject, name: str) -> ast.Body | None:
    """The body of a worker, verifier or orchestrator of the file."""
    entity = subject.scope.names.get(name)
    node = None if entity is None else entity.declaration
    if isinstance(node, ast.WorkerDecl | ast.VerifierDecl | ast.OrchestratorDecl):
        return node.body if subject.here(node.span) else None
    return None


def block_of(body: ast.Body | None, name: str) -> ast.Body | None:
    """The body of the first block of a name in a body."""
    return next((block.body for block in blocks_of(body, name)), None)


def block_at(body: ast.Body | None, span: Span) -> ast.Body | None:
    """The body of the block in a body that a place is in."""
    for member in body.members if body is not None else ():
        if isinstance(member, ast.Block) and member.span.start <= span.start < member.span.end:
            return member.body
    return None


def varies(body: ast.Body | None, *settings: str) -> bool:
    """Whether one of these settings is a param or a choice, and another run may differ."""
    return any(
        isinstance(member, ast.Setting)
        and member.name.text in settings
        and isinstance(member.value, ast.Conditional | ast.Attribute)
        for member in (body.members if body is not None else ())
    )


def adding(body: ast.Body | None, setting: str, *, safe: bool = False) -> Fix | None:
    """A fix that adds a setting or block to a body; None where there is no body to add to."""
    if body is None or not body.span.text.endswith("}"):
        return None
    edit = appended(body.span, setting)
    return Fix(f"add `{setting}`", (edit,), "safe" if safe else "unsafe")


def setting_of(body: ast.Body, name: str) -> ast.Expr | None:
    """The value of a setting of a body, or None."""
    for member in body.members:
        if isinstance(member, ast.Setting) and member.name.text == name:
            return member.value
    return None


def blocks_of(body: ast.Body | None, name: str) -> Iterator[ast.Block]:
    """The blocks of a name in a body."""
    for member in body.members if body is not None else ():
        if isinstance(member, ast.Block) and member.name.text == name:
            yield member


def item_span(body: ast.Body, setting: str, name: str) -> Span | None:
    """Where a name is in a list of names, `common.search` included."""
    value = setting_of(body, setting)
    items = value.items if isinstance(value, ast.ListExpr) else () if value is None else (value,)
    for item in items:
        if dotted(item) == name:
            return item.span
    return None


def member_span(subject: Subject, orchestrator: Orchestrator, name: str) -> Span:
    """Where an orchestrator of the file names a worker in `workers`; else the orchestrator."""
    entity = subject.declared.get(orchestrator.name)
    if entity is not None and isinstance(entity.declaration, ast.OrchestratorDecl):
        for local in subject.local_names(name):
            found = item_span(entity.declaration.body, "workers", local)
            if found is not None:
                return found
    return orchestrator.span


def strings_in(node: Any) -> Iterator[ast.String]:
    """Every string in a node."""
    return (inner for inner in walk(node) if isinstance(inner, ast.String))
