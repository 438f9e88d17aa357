"""ORC906: names that are not written as the language writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.sema.names.scope import Entity
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["naming"]

_SNAKE = re.compile(r"_*[a-z][a-z0-9]*(?:_[a-z0-9]+)*_*\Z")
_PASCAL = re.compile(r"[A-Z][A-Za-z0-9]*\Z")
_UPPER = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\Z")
_STYLES = {
    "schema": (_PASCAL, "PascalCase"),
    "secret": (_UPPER, "UPPER_CASE"),
}


NAMING = Rule(
    code="ORC906",
    name="naming",
    severity="info",
    summary="A name is not written as the language writes names.",
    why="A reader tells by the form of a name what it is.",
    bad="schema finding_of_fact { claim: string }",
    good="schema FindingOfFact { claim: string }",
    allowable=True,
)


def naming(subject: Subject) -> Iterator[Diagnostic]:
    """ORC906: schemas are PascalCase, secrets UPPER_CASE, everything else is snake_case."""
    scope = subject.result.scopes.entry
    kinds = ("schema", "model", "server", "template", "worker", "verifier", "orchestrator")
    for entity in scope.own(*kinds, "param", "secret"):
        pattern, style = _STYLES.get(entity.kind, (_SNAKE, "snake_case"))
        if entity.declaration is None or pattern.match(entity.name):
            continue
        better = _written(entity.name, style)
        taken = better in scope.names or better in scope.params or better in scope.secrets
        yield diagnostic(
            "ORC906",
            f"{entity.kind}s are written in {style}: `{entity.name}`",
            entity.name_span,
            help=f"call it `{better}`",
            fix=None if taken else _renamed(subject, entity, better),
        )


def _written(name: str, style: str) -> str:
    """A name in a style; case and underscores separate its words."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name) or [name]
    if style == "PascalCase":
        return "".join(word[:1].upper() + word[1:] for word in words)
    joined = "_".join(word.lower() for word in words)
    return joined.upper() if style == "UPPER_CASE" else joined


def _renamed(subject: Subject, entity: Entity, better: str) -> Fix | None:
    """Change the name wherever the file has it as a word outside of texts; else no fix.

    A secret's name is also a variable of the environment, a param's one of the command line, and
    a schema's one is in no text: only what the file alone decides is renamed.
    """
    if entity.kind in ("secret", "param"):
        return None
    edits = []
    for declaration in subject.result.scopes.entry.module.document.declarations:
        for node in walk(declaration):
            if isinstance(node, ast.String) and re.search(rf"\b{entity.name}\b", node.value):
                return None
            named = isinstance(node, ast.Name | ast.NamedType | ast.Variable)
            if named and node.span.text == entity.name:
                edits.append(Edit(node.span, better))
    return Fix(f"call it `{better}`", tuple(edits), "unsafe")
