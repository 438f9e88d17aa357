"""The kind of the body at a place, by the table of settings."""

from __future__ import annotations

from engine.sema.kinds import body_of
from engine.sema.settings.table import KINDS, Kind, Row
from engine.sema.settings.values import block_of
from engine.syntax import ast

__all__ = ["inner_kind", "kind_of", "member_at"]


def kind_of(node: ast.Node) -> Kind | None:
    """The kind of a declaration's body, or None if it has none that is known."""
    match node:
        case ast.ModelDecl():
            return KINDS["model"]
        case ast.OrchestratorDecl():
            return KINDS["orchestrator"]
        case ast.TestDecl():
            return KINDS["test"]
        case ast.ServerDecl() | ast.WorkerDecl() | ast.VerifierDecl():
            word = type(node).__name__.removesuffix("Decl").lower()
            return body_of(node.kind.text, word)
    return None


def inner_kind(kind: Kind | None, name: str) -> Kind | None:
    """The kind of a block in a body."""
    row = None if kind is None else kind.row(name)
    block = None if row is None else block_of(row.value)
    return None if block is None else KINDS[block]


def member_at(path: list[ast.Node]) -> tuple[Kind, Row, ast.Setting | ast.Block] | None:
    """The innermost setting around a place, with its row in the table.

    Args:
        path: The nodes around the place, the declaration first.
    """
    kind = kind_of(path[0]) if path else None
    found: tuple[Kind, Row, ast.Setting | ast.Block] | None = None
    for node in path:
        if not isinstance(node, ast.Setting | ast.Block):
            continue
        row = None if kind is None else kind.row(node.name.text)
        if kind is None or row is None:
            return None
        found = (kind, row, node)
        if isinstance(node, ast.Block):
            kind = inner_kind(kind, node.name.text)
    return found
