"""What an expression sees at the cursor: an unused name is written there, and checked.

The checker knows scopes, loops and types; a half-typed expression does not parse. So everything
after the cursor in its template is cut off, what is open is closed, and the program is checked
once more in memory with an `Observer` that waits for the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from engine.errors import OrchError
from engine.linter.fixpoint import EditedReader
from engine.lsp.project import Analysis, Project
from engine.sema.check import check_file
from engine.sema.names.scope import Entity
from engine.sema.templates.flow_facts import Names
from engine.sema.types.definitions import Type
from engine.source import SourceFile, Span
from engine.syntax import ast

__all__ = ["MARK", "Seen", "close_template", "inside_tag", "look"]

MARK = "orch_cursor_"

_TAG = re.compile(r"\{%-?\s*(\w+)([^%]*)")
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_BLOCKS = frozenset({"for", "if", "macro", "call", "filter", "with", "block", "set"})


@dataclass(eq=False)
class Seen:
    """What the mark met; an `Observer`.

    Attributes:
        names: The names there are, with their types, if it is a name.
        owner: The type of what it would be a field of.
        beside: The type it is compared with.
        node: The declaration it is in.
    """

    names: dict[str, Type] = field(default_factory=dict)
    owner: Type | None = None
    beside: Type | None = None
    node: ast.Declaration | None = None
    _current: ast.Declaration | None = None

    def enter(self, node: ast.Declaration) -> None:
        """See `Observer`."""
        self._current = node

    def reference(self, span: Span, entity: Entity) -> None:
        """See `Observer`."""

    def name(self, span: Span, name: str, type_: Type | None, names: Names) -> None:
        """See `Observer`."""
        if name == MARK:
            self.node = self._current
            found = {each: names.peek(each) for each in names.all() if each != MARK}
            self.names = {each: known for each, known in found.items() if known is not None}

    def attribute(self, span: Span, owner: Type, name: str) -> None:
        """See `Observer`."""
        if name == MARK:
            self.node = self._current
            self.owner = owner

    def step(self, span: Span, declared: Span, type_: Type) -> None:
        """See `Observer`."""

    def literal(self, span: Span, beside: Type) -> None:
        """See `Observer`."""
        if MARK in span.text:
            self.beside = beside


def look(project: Project, analysis: Analysis, source: SourceFile, text: str) -> Seen:
    """Check a program with the text of one of its files replaced by one with the mark."""
    seen = Seen()
    reader = EditedReader(project.documents, {source.path: text})
    try:
        check_file(
            analysis.path, reader=reader, cache=project.cache(analysis.path), observer=seen, env={}
        )
    except OrchError:
        return seen
    return seen


def inside_tag(template: str) -> str | None:
    """`{{` or `{%` if a template ends inside such a tag."""
    at, tag = max((template.rfind(mark), mark) for mark in ("{{", "{%", "{#"))
    if at < 0 or tag == "{#":
        return None
    closer = "}}" if tag == "{{" else "%}"
    return None if closer in template[at + 2 :] else tag


def close_template(template: str) -> str:
    """What ends a template that ends inside a tag."""
    tag = inside_tag(template)
    if tag is None:
        return ""
    brackets: list[str] = []
    for character in template[template.rfind(tag) + 2 :]:
        if character in _BRACKETS:
            brackets.append(_BRACKETS[character])
        elif brackets and character == brackets[-1]:
            brackets.pop()
    opened: list[str] = []
    for found in _TAG.finditer(template):
        word, rest = found[1], found[2]
        if word.startswith("end") and opened and opened[-1] == word[3:]:
            opened.pop()
        elif word in _BLOCKS and not (word == "set" and "=" in rest):
            opened.append(word)
    closers = "".join(f"{{% end{word} %}}" for word in reversed(opened))
    return "".join(reversed(brackets)) + (" }}" if tag == "{{" else " %}") + closers
