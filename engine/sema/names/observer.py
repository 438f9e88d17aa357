"""Who wants to know what each name in a program means, as a check finds it out.

An editor shows types, jumps to declarations and completes names; all of that is known for a
moment while a program is checked. An `Observer` that is handed to `check_file` is told. It
changes nothing, and a check without one does no more than before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from engine.sema.names.scope import Entity
    from engine.sema.templates.flow_facts import Names
    from engine.sema.types.definitions import Type
    from engine.source import Span
    from engine.syntax import ast

__all__ = ["Observer"]


class Observer(Protocol):
    """Told where names are used, in no particular order."""

    def enter(self, node: ast.Declaration) -> None:
        """What follows, in files that are included too, is about this declaration."""
        ...

    def reference(self, span: Span, entity: Entity) -> None:
        """A declared name is written at `span`, maybe with the alias of an import before it."""
        ...

    def name(self, span: Span, name: str, type_: Type | None, names: Names) -> None:
        """An expression reads a name; `type_` is None where it is unknown."""
        ...

    def attribute(self, span: Span, owner: Type, name: str) -> None:
        """An expression reads `owner.name`; `span` covers the name, which may be unknown."""
        ...

    def step(self, span: Span, declared: Span, type_: Type) -> None:
        """The name of a step of a plan is written at `span`, and declared at `declared`."""
        ...

    def literal(self, span: Span, beside: Type) -> None:
        """An expression compares a string with a value of a type."""
        ...
