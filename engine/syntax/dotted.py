"""Names with dots in expressions: `common.search` reads as an attribute of a variable.

Only what the text says is here; what a name means is in `engine.sema.names`.
"""

from __future__ import annotations

from engine.syntax import ast

__all__ = ["dotted"]


def dotted(expr: ast.Expr) -> str | None:
    """`a` or `a.b` as a text, or None if the expression is something else."""
    if isinstance(expr, ast.Variable):
        return expr.name
    if isinstance(expr, ast.Attribute):
        left = dotted(expr.object)
        return None if left is None else f"{left}.{expr.name}"
    return None
