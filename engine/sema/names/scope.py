"""Names: what each module declares and imports, and how a name is looked up.

A module has one space of names for what is referred to by name (schemas, models, servers,
templates, callables, import aliases), and one each for params and secrets, which are written
`param.x` and `secret.X`. Each declaration is one `Entity`, whatever it is called elsewhere; its
canonical name is the one it has in the entry file, and canonical names are unique in a program.

A name that cannot be known, because its declaration or its file could not be read, is never
reported as unknown: one fault, one diagnostic.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeGuard

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.sema.names.loader import LoadResult, Module
from engine.sema.names.observer import Observer
from engine.sema.suggest import closest
from engine.sema.types.definitions import SCALARS
from engine.source import Span
from engine.syntax import ast

__all__ = ["KEYWORDS", "Entity", "Scope", "Scopes", "build_scopes"]

_BUILTIN_TYPES = frozenset({*SCALARS, "null"})
#: The words that declare a name, and the nodes they make.
KEYWORDS = {
    "schema": ast.SchemaDecl,
    "model": ast.ModelDecl,
    "server": ast.ServerDecl,
    "template": ast.TemplateDecl,
    "worker": ast.WorkerDecl,
    "verifier": ast.VerifierDecl,
    "orchestrator": ast.OrchestratorDecl,
    "param": ast.ParamDecl,
    "secret": ast.SecretDecl,
}
_KIND_OF = {node: keyword for keyword, node in KEYWORDS.items()}

Named = (
    ast.SchemaDecl
    | ast.ModelDecl
    | ast.ServerDecl
    | ast.TemplateDecl
    | ast.WorkerDecl
    | ast.VerifierDecl
    | ast.OrchestratorDecl
    | ast.ParamDecl
    | ast.SecretDecl
)


@dataclass(eq=False)
class Entity:
    """One declaration.

    Attributes:
        kind: The keyword that declares it, or `unknown` where its file could not be read.
        canonical: Its name in the program.
        uses: How often it is referred to.
    """

    kind: str
    name: str
    declaration: Named | None
    module: Module
    canonical: str = ""
    uses: int = 0

    @property
    def name_span(self) -> Span:
        """Where its name is written."""
        assert self.declaration is not None
        return self.declaration.name.span


@dataclass(eq=False)
class Scope:
    """The names of one module."""

    module: Module
    diagnostics: list[Diagnostic]
    names: dict[str, Entity] = field(default_factory=dict)
    params: dict[str, Entity] = field(default_factory=dict)
    secrets: dict[str, Entity] = field(default_factory=dict)
    aliases: dict[str, Scope | None] = field(default_factory=dict)
    alias_uses: set[str] = field(default_factory=set)
    observer: Observer | None = None

    def own(self, *kinds: str) -> list[Entity]:
        """What this module itself declares, in order."""
        spaces = (self.names, self.params, self.secrets)
        return [
            entity
            for space in spaces
            for name, entity in space.items()
            if entity.module is self.module and entity.kind in kinds and entity.name == name
        ]

    def find(self, name: str) -> Entity | None:
        """The entity of a name, `alias.name` included; None if there is none. Counts a use."""
        entity = self.names.get(name)
        if entity is None and "." in name:
            alias, _, rest = name.partition(".")
            if alias in self.aliases:
                self.alias_uses.add(alias)
                inner = self.aliases[alias]
                if inner is None:
                    return Entity("unknown", name, None, self.module)
                entity = inner.find(rest)
            elif alias in self.names and self.names[alias].kind == "unknown":
                entity = self.names[alias]
        if entity is not None:
            entity.uses += 1
        return entity

    def count_uses(self, names: set[str]) -> None:
        """Count names that templates and expressions have used."""
        for name in names:
            if name in self.names:
                self.names[name].uses += 1
            elif name in self.aliases:
                self.alias_uses.add(name)

    def elsewhere(self, kind: str, name: str) -> str | None:
        """What helps where an unknown param or secret is one of an import; None if it is not."""
        for node, module in self.module.imports.items():
            if module is None:
                continue
            path, alias = node.path.value, node.alias.text if isinstance(node, ast.Import) else ""
            if alias == name:
                return f'write `from "{path}" import NAME`, and then `{kind}.NAME`'
            if any(d.name.text == name for d in module.document.declarations if _is_a(d, kind)):
                return f'write `from "{path}" import {name}`, and then `{kind}.{name}`'
        return None

    def under_alias(self, name: str, *kinds: str) -> str | None:
        """`alias.name` of an import that declares a name which is unknown here, or None."""
        for alias, inner in self.aliases.items():
            entity = None if inner is None else inner.names.get(name)
            if entity is not None and entity.kind in kinds:
                return f"{alias}.{name}"
        return None

    def excused(self, name: str) -> bool:
        """Whether `name` seems to be declared where the parser could not read it."""
        scope: Scope | None = self
        alias, _, rest = name.partition(".")
        if rest and alias in self.aliases:
            scope, name = self.aliases[alias], rest
        return scope is None or declared_in_text(scope.module, name)

    def visible(self, *kinds: str) -> list[str]:
        """The names of these kinds that can be written here (of all kinds if none is given)."""
        found = [n for n, e in self.names.items() if not kinds or e.kind in kinds]
        for alias, inner in self.aliases.items():
            if inner is not None:
                found += [
                    f"{alias}.{n}"
                    for n, e in inner.names.items()
                    if "." not in n and (not kinds or e.kind in kinds)
                ]
        return found

    def lookup(self, name: str, kinds: tuple[str, ...], span: Span, user: str) -> Entity | None:
        """The entity of a name that must be of one of some kinds; reports what is wrong.

        Args:
            user: What needs it, for the message: `` `workers` ``.
        """
        entity = self.find(name)
        if entity is None:
            if not self.excused(name):
                self.diagnostics.append(self.unknown(name, kinds, span))
            return None
        if entity.kind == "unknown":
            return None
        if self.observer is not None:
            self.observer.reference(span, entity)
        if entity.kind not in kinds:
            near = closest(name, self.visible(*kinds))
            self.diagnostics.append(
                diagnostic(
                    "ORC108",
                    f"`{name}` is {_a(entity.kind)}; {user} needs {_a(kinds[0])}",
                    span,
                    help=f"did you mean `{near}`?" if near else None,
                    related=(Related("declared here", entity.name_span),),
                )
            )
            return None
        return entity

    def unknown(self, name: str, kinds: tuple[str, ...], span: Span) -> Diagnostic:
        """The diagnostic for a name that nothing declares."""
        candidates = self.visible(*kinds)
        near = closest(name, candidates)
        if near is None and "." not in name:
            # `fast` for `common.fast`: the alias was forgotten.
            near = next((c for c in candidates if c.rpartition(".")[2] == name), None)
        what = kinds[0] if len(kinds) < 4 else "name"
        if near is not None:
            return diagnostic(
                "ORC101",
                f"unknown {what} `{name}`",
                span,
                help=f"did you mean `{near}`?",
                fix=Fix(f"write `{near}`", (Edit(span, near),)),
            )
        help = f"declare it with `{kinds[0]} {name}`"
        if candidates:
            shown = ", ".join(f"`{c}`" for c in sorted(candidates)[:8])
            help += f"; there {'is' if len(candidates) == 1 else 'are'} {shown}"
        return diagnostic("ORC101", f"unknown {what} `{name}`", span, help=help)


@dataclass(eq=False)
class Scopes:
    """The scopes of all modules, imported ones first, and every entity by canonical name."""

    entry: Scope
    all: list[Scope]
    of: dict[str, Scope]


#: A declaration that says no name.
_NAMELESS = re.compile(
    r"^(?:(?:param|secret|schema|model|server|template|worker|verifier|orchestrator)"
    r"[ \t]*(?=[({:=\r\n]|->|via\b|//|\Z)|import\b)",
    re.MULTILINE,
)


def declared_in_text(module: Module, name: str) -> bool:
    """Whether a name may be declared in the part of a module that the parser could not read.

    That is what is outside of every declaration, and each line with a syntax error. A
    declaration there without a name, or an import without an alias, may have been any name.
    """
    if not module.syntax_errors:
        return False
    word = re.compile(rf"\b{re.escape(name.partition('.')[0])}\b")
    lost = [*_lost_text(module), *(module.source.line(n) for n in sorted(module.fault_lines))]
    return any(word.search(text) or _NAMELESS.search(text) for text in lost)


def _lost_text(module: Module) -> Iterator[str]:
    """What is outside of every declaration and comment."""
    text = module.source.text
    at = 0
    spans = [node.span for node in module.document.declarations]
    for span in sorted([*spans, *module.document.comments], key=lambda span: span.start):
        yield text[at : span.start]
        at = max(at, span.end)
    yield text[at:]


def build_scopes(
    loaded: LoadResult, diagnostics: list[Diagnostic], observer: Observer | None = None
) -> Scopes:
    """Declare every name of every module and give everything its canonical name."""
    of: dict[str, Scope] = {}
    ordered: list[Scope] = []
    for module in loaded.modules:
        scope = Scope(module, diagnostics, observer=observer)
        _Declarer(scope, of).declare()
        of[module.path] = scope
        ordered.append(scope)
    entry = of[loaded.entry.path]
    _name(entry, of)
    return Scopes(entry, ordered, of)


class _Declarer:
    """Fills the scope of one module."""

    def __init__(self, scope: Scope, of: dict[str, Scope]) -> None:
        self._scope = scope
        self._of = of
        self._places: dict[tuple[int, str], Span] = {}

    def declare(self) -> None:
        scope = self._scope
        for node in scope.module.document.declarations:
            kind = _KIND_OF.get(type(node))
            if kind is not None:
                assert isinstance(node, Named)
                self._add(Entity(kind, node.name.text, node, scope.module), node.name)
            elif isinstance(node, ast.UnknownDecl):
                # `wroker search { ... }` is one fault; uses of `search` are none.
                found = re.search(r"\bas\s+(\w+)\s*$", node.span.text)
                name = node.name.text if node.name else found[1] if found else ""
                unknown = Entity("unknown", name, None, scope.module)
                imported = re.search(r"\bimport\s+(.*)", node.span.text, re.DOTALL)
                names = [name, *re.findall(r"\w+", imported[1] if imported else "")]
                for space in (scope.names, scope.params, scope.secrets):
                    for each in names:
                        space.setdefault(each, unknown)
            elif isinstance(node, ast.Import):
                self._add_alias(node)
            elif isinstance(node, ast.FromImport):
                self._add_names(node)

    def _space(self, kind: str) -> dict[str, Entity]:
        scope = self._scope
        return {"param": scope.params, "secret": scope.secrets}.get(kind, scope.names)

    def _taken(self, space: object, name: ast.Name) -> bool:
        key = (id(space), name.text)
        first = self._places.get(key)
        if first is None:
            self._places[key] = name.span
            return False
        self._scope.diagnostics.append(
            diagnostic(
                "ORC102",
                f"`{name.text}` is already declared at line {first.begin_position.line}",
                name.span,
                help="rename one of them",
                related=(Related("first declared here", first),),
            )
        )
        return True

    def _add(self, entity: Entity, local: ast.Name) -> None:
        space = self._space(entity.kind)
        if entity.kind == "schema" and local.text in _BUILTIN_TYPES:
            self._scope.diagnostics.append(
                diagnostic(
                    "ORC102",
                    f"`{local.text}` is a built-in type and may not be declared again",
                    local.span,
                    help="choose another name; schemas are usually written in PascalCase",
                )
            )
            return
        if not self._taken(space, local):
            space[local.text] = entity

    def _add_alias(self, node: ast.Import) -> None:
        scope = self._scope
        if not self._taken(scope.names, node.alias):
            module = scope.module.imports.get(node)
            scope.aliases[node.alias.text] = None if module is None else self._of.get(module.path)

    def _add_names(self, node: ast.FromImport) -> None:
        scope = self._scope
        module = scope.module.imports.get(node)
        source = None if module is None else self._of.get(module.path)
        for alias in node.names:
            if source is None:
                self._add(Entity("unknown", alias.name.text, None, scope.module), alias.local)
                continue
            name = alias.name.text
            found = [
                space[name]
                for space in (source.names, source.params, source.secrets)
                if name in space
            ]
            for entity in found:
                entity.uses += 1
                self._add(entity, alias.local)
            if found:
                continue
            self._add(Entity("unknown", name, None, scope.module), alias.local)
            if declared_in_text(source.module, name):
                continue
            near = closest(name, [*source.names, *source.params, *source.secrets])
            if near is not None and alias.local is alias.name:
                # Where the name is right further down, that is not a second fault.
                scope.names.setdefault(near, Entity("unknown", near, None, scope.module))
            scope.diagnostics.append(
                diagnostic(
                    "ORC101",
                    f"`{node.path.value}` declares no `{name}`",
                    alias.name.span,
                    help=f"did you mean `{near}`?" if near else None,
                    fix=Fix(f"import `{near}`", (Edit(alias.name.span, near),)) if near else None,
                )
            )


def _name(entry: Scope, of: dict[str, Scope]) -> None:
    """Canonical names: as in the entry file; else by the path of aliases that leads there."""
    taken: set[str] = set()
    visited: set[str] = set()

    def give(scope: Scope, prefix: str) -> None:
        for space in (scope.names, scope.params, scope.secrets):
            for local, entity in space.items():
                if entity.kind == "unknown" or entity.canonical:
                    continue
                wanted = prefix + local if entity.kind != "secret" else local
                name, number = wanted, 2
                while entity.kind not in ("secret", "param") and name in taken:
                    name, number = f"{wanted}_{number}", number + 1
                entity.canonical = name
                if entity.kind not in ("secret", "param"):
                    taken.add(name)

    queue: list[tuple[Scope, str]] = [(entry, "")]
    while queue:
        scope, prefix = queue.pop(0)
        if scope.module.path in visited:
            continue
        visited.add(scope.module.path)
        give(scope, prefix)
        for declaration, module in scope.module.imports.items():
            if module is None or module.path not in of:
                continue
            if isinstance(declaration, ast.Import):
                inner = prefix + declaration.alias.text
            else:
                stem = os.path.splitext(os.path.basename(declaration.path.value))[0]
                inner = prefix + re.sub(r"\W", "_", stem)
            queue.append((of[module.path], inner + "."))


def _is_a(node: ast.Declaration, kind: str) -> TypeGuard[Named]:
    return _KIND_OF.get(type(node)) == kind


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
