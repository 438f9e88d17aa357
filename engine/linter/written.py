"""Where in a file something is written: the bodies that fixes add settings to.

A model of a program knows values, not places; the tree knows places. What is in another file
has no place here.
"""

from __future__ import annotations

from engine.diagnostics import Fix
from engine.diagnostics.edits import appended
from engine.linter.subject import Subject
from engine.source import Span
from engine.syntax import ast

__all__ = ["adding", "block_at", "block_of", "body_of", "varies"]


def body_of(subject: Subject, name: str) -> ast.Body | None:
    """The body of a worker, verifier or orchestrator of the file."""
    entity = subject.scope.names.get(name)
    node = None if entity is None else entity.declaration
    if isinstance(node, ast.WorkerDecl | ast.VerifierDecl | ast.OrchestratorDecl):
        return node.body if subject.here(node.span) else None
    return None


def block_of(body: ast.Body | None, name: str) -> ast.Body | None:
    """The body of the first block of a name in a body."""
    for member in body.members if body is not None else ():
        if isinstance(member, ast.Block) and member.name.text == name:
            return member.body
    return None


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
