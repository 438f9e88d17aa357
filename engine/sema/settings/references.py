"""Names in settings: workers, models, verifiers, failure modes.

One `NameReader` for a module. A name is resolved to its `Entity`; what is not a name, is unknown or
is of another kind is reported once and left out. Which names of a list were where is kept for
checks that come later.
"""

from __future__ import annotations

from typing import Any

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.sema.names.scope import Entity, Scope
from engine.sema.settings import values as table
from engine.sema.settings.constant_settings import LeafReader
from engine.sema.settings.constants import describe
from engine.sema.suggest import closest, names_list
from engine.source import Span
from engine.syntax import ast
from engine.syntax.dotted import dotted

__all__ = ["NameReader", "one_of"]


class NameReader:
    """Reads names in the settings of one module.

    Attributes:
        modes: The failure modes that may be named in the body being read.
        items: Where the names of the list being read are noted.
        unresolved: Whether a name of that list could not be resolved.
    """

    def __init__(self, scope: Scope, leaves: LeafReader) -> None:
        self._scope = scope
        self._leaves = leaves
        self.modes: frozenset[str] = frozenset()
        self.items: list[tuple[Entity, Span]] = []
        self.unresolved = False

    def names(self, name: str, value: table.Names, expr: ast.Expr) -> Any:
        """The entity, or tuple of entities, that a setting names; None if it names nothing."""
        user = f"`{name}`"
        if value.many != "one" and isinstance(expr, ast.ListExpr):
            found: list[Entity] = []
            for item in expr.items:
                entity = self._one_name(user, value.kinds, item)
                self.unresolved |= entity is None
                if entity is not None and entity in found:
                    self._report(
                        diagnostic(
                            "ORC105", f"`{item.span.text}` appears twice in {user}", item.span
                        )
                    )
                elif entity is not None:
                    found.append(entity)
                    self.items.append((entity, item.span))
            if not expr.items and value.kinds[0] == "worker" and name == "workers":
                self._report(
                    diagnostic(
                        "ORC202",
                        "`workers` needs at least one worker",
                        expr.span,
                        help="an orchestrator without workers cannot dispatch anything",
                    )
                )
            elif not expr.items and value.kinds == ("verifier",):
                self._report(
                    diagnostic(
                        "ORC202",
                        f"`{name}` needs at least one verifier",
                        expr.span,
                        help="a hook without verifiers checks nothing; remove it",
                    )
                )
            return tuple(found)
        if value.many == "list":
            text = expr.span.text
            named = dotted(expr) is not None
            self._leaves.mismatch(
                name,
                f"a list of {value.kinds[0]}s",
                expr,
                help=f"write `{name} = [{text}]`" if named else None,
                fix=Fix("make it a list", (Edit(expr.span, f"[{text}]"),)) if named else None,
            )
            return None
        entity = self._one_name(user, value.kinds, expr)
        if value.many == "either":
            return () if entity is None else (entity,)
        return entity

    def _one_name(self, user: str, kinds: tuple[str, ...], expr: ast.Expr) -> Entity | None:
        name = dotted(expr)
        if name is not None:
            return self._scope.lookup(name, kinds, expr.span, user)
        help = None
        fix = None
        if isinstance(expr, ast.String):
            known = self._scope.find(expr.value)
            if known is not None:
                help = f"write names without quotes: `{expr.value}`"
                fix = Fix("remove the quotes", (Edit(expr.span, expr.value),))
        if help is None and kinds[0] == "model":
            help = 'declare it, `model name { id = "..." }`, and write its name here'
        self._report(
            diagnostic(
                "ORC202",
                f"{user} needs the name of {one_of(kinds)}, got {describe(expr)}",
                expr.span,
                help=help,
                fix=fix,
            )
        )
        return None

    def each_once(self, name: str, expr: ast.Expr) -> None:
        """Report names that are in a list before."""
        seen: set[str] = set()
        for item in expr.items if isinstance(expr, ast.ListExpr) else ():
            if isinstance(item, ast.Variable) and item.name in seen:
                message = f"`{item.name}` appears twice in `{name}`"
                self._report(diagnostic("ORC105", message, item.span))
            elif isinstance(item, ast.Variable):
                seen.add(item.name)

    def mode(self, name: str, expr: ast.Expr) -> str | None:
        """The failure mode that a setting names."""
        if not isinstance(expr, ast.Variable):
            self._leaves.mismatch(name, "a failure mode", expr)
            return None
        if expr.name in self.modes:
            return expr.name
        near = closest(expr.name, self.modes)
        known = names_list(sorted(self.modes))
        self._report(
            diagnostic(
                "ORC101",
                f"unknown failure mode `{expr.name}`",
                expr.span,
                help=f"did you mean `{near}`?"
                if near
                else f"declare it: `fails {expr.name}`; there are {known}",
                fix=Fix(f"write `{near}`", (Edit(expr.span, near),)) if near else None,
            )
        )
        return None

    def _report(self, found: Diagnostic) -> None:
        self._scope.diagnostics.append(found)


def one_of(kinds: tuple[str, ...]) -> str:
    """The first of some kinds with its article: "a worker"."""
    return f"an {kinds[0]}" if kinds[0][0] in "aeiou" else f"a {kinds[0]}"
