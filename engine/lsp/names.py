"""Every name of a program: where it is declared, where it is used, and what it is.

A `Recorder` listens while a program is checked; `Index` makes of what it heard, and of the
declarations in the trees, one list of uses for each file. A thing that has a name is a `Target`,
known by the place where its name is declared: that place is the same whichever file the check
began with, so uses found in different programs can be put together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from engine.lsp.tree import fields_of
from engine.sema.check import CheckResult
from engine.sema.kinds.plan import PLAN
from engine.sema.names.loader import Module
from engine.sema.names.scope import Entity, Scope
from engine.sema.templates.flow_facts import Names
from engine.sema.templates.typing_rules import attribute_of, is_null, open_up
from engine.sema.types.definitions import Record, Type
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["Index", "Reading", "Recorder", "Target", "Use"]

_KINDS = {
    ast.SchemaDecl: "schema",
    ast.ModelDecl: "model",
    ast.ServerDecl: "server",
    ast.TemplateDecl: "template",
    ast.WorkerDecl: "worker",
    ast.VerifierDecl: "verifier",
    ast.OrchestratorDecl: "orchestrator",
    ast.ParamDecl: "param",
    ast.SecretDecl: "secret",
}


class Target(msgspec.Struct, frozen=True):
    """Something with a name.

    Attributes:
        kind: The keyword that declares it, or `field`, `input`, `mode`, `step` (of a plan),
            `import` (of a whole file), `alias` (a local name for something imported).
        path: The file that declares it, absolute.
        start: Where its name is declared there.
    """

    kind: str
    name: str
    path: str
    start: int

    @property
    def end(self) -> int:
        """Where the declared name ends."""
        return self.start + len(self.name)


class Use(msgspec.Struct, frozen=True):
    """One place where a name is written; `declares` if it is the declaration."""

    start: int
    end: int
    target: Target
    declares: bool = False


class Reading(msgspec.Struct, frozen=True):
    """One place where an expression reads a name or a field, and the type of it."""

    start: int
    end: int
    name: str
    type: Type


@dataclass(eq=False)
class Recorder:
    """Keeps what a check tells; see `engine.sema.names.observer.Observer`."""

    node: ast.Declaration | None = None
    references: list[tuple[Span, Entity]] = field(default_factory=list)
    names: list[tuple[Span, str, Type | None, bool, ast.Declaration | None]] = field(
        default_factory=list
    )
    attributes: list[tuple[Span, Type, str]] = field(default_factory=list)
    steps: list[tuple[Span, Span, Type]] = field(default_factory=list)

    def enter(self, node: ast.Declaration) -> None:
        """See `Observer`."""
        self.node = node

    def reference(self, span: Span, entity: Entity) -> None:
        """See `Observer`."""
        self.references.append((span, entity))

    def name(self, span: Span, name: str, type_: Type | None, names: Names) -> None:
        """See `Observer`."""
        self.names.append((span, name, type_, names.is_given(name), self.node))

    def attribute(self, span: Span, owner: Type, name: str) -> None:
        """See `Observer`."""
        self.attributes.append((span, owner, name))

    def step(self, span: Span, declared: Span, type_: Type) -> None:
        """See `Observer`."""
        self.steps.append((span, declared, type_))

    def literal(self, span: Span, beside: Type) -> None:
        """See `Observer`."""


class Index:
    """The names of a checked program.

    Attributes:
        nodes: What declares a target: a declaration, a field, an import.
        owners: The declaration a field, input or failure mode belongs to.
        origin: The name that an alias refers to.
    """

    def __init__(self, result: CheckResult, recorder: Recorder) -> None:
        self.nodes: dict[Target, ast.Node] = {}
        self.owners: dict[Target, ast.Declaration] = {}
        self.origin: dict[Target, Target] = {}
        self._uses: dict[str, dict[tuple[int, int], Use]] = {}
        self._readings: dict[str, dict[tuple[int, int], Reading]] = {}
        self._at: dict[tuple[str, int], Target] = {}
        self._aliases: dict[tuple[str, str], Target] = {}
        self._scopes: dict[SourceFile, Scope] = {
            scope.module.source: scope for scope in result.scopes.all
        }
        for scope in result.scopes.all:
            for declaration in scope.module.document.declarations:
                self._declare(scope.module, declaration)
        for scope in result.scopes.all:
            for declaration in scope.module.document.declarations:
                self._imports(scope, declaration)
                self._modes(scope, declaration)
        for span, entity in recorder.references:
            self._reference(span, entity)
        for span, declared, step_type in recorder.steps:
            self._step(span, declared, step_type)
        for span, name, type_, given, node in recorder.names:
            self._name(span, name, type_, given, node)
        for span, owner, name in recorder.attributes:
            self._attribute(span, owner, name)

    # ------------------------------------------------------------ questions

    def uses(self, path: str) -> list[Use]:
        """The uses in a file, in order."""
        found = self._uses.get(path, {})
        return [found[key] for key in sorted(found)]

    def steps(self, path: str) -> Iterator[tuple[Target, Type]]:
        """The steps of plans that a file declares, with their types."""
        readings = self._readings.get(path, {})
        for target in self.nodes:
            if target.kind == "step" and target.path == path:
                reading = readings.get((target.start, target.end))
                if reading is not None:
                    yield target, reading.type

    def use_at(self, path: str, offset: int) -> Use | None:
        """The innermost use at an offset; at the end of a name counts too."""
        found = [use for use in self._uses.get(path, {}).values() if use.start <= offset <= use.end]
        return max(found, key=lambda use: (use.start, -use.end), default=None)

    def reading_at(self, path: str, offset: int) -> Reading | None:
        """What an expression reads at an offset."""
        found = [
            item
            for item in self._readings.get(path, {}).values()
            if item.start <= offset <= item.end
        ]
        return max(found, key=lambda item: item.start, default=None)

    def uses_of(self, target: Target) -> Iterator[tuple[str, Use]]:
        """Each use of a target, with its file."""
        for path in sorted(self._uses):
            for use in self.uses(path):
                if use.target == target:
                    yield path, use

    def real(self, target: Target) -> Target:
        """What a target finally refers to."""
        while target in self.origin:
            target = self.origin[target]
        return target

    def of_entity(self, entity: Entity) -> Target | None:
        """The target of a declaration."""
        if entity.declaration is None:
            return None
        return self._at.get((entity.module.path, entity.name_span.start))

    # ------------------------------------------------------------ declarations

    def _add(self, path: str, start: int, end: int, target: Target, declares: bool = False) -> None:
        found = self._uses.setdefault(path, {})
        if declares or (start, end) not in found:
            found[(start, end)] = Use(start, end, target, declares)

    def _new(
        self, kind: str, name: ast.Name, path: str, node: ast.Node, owner: ast.Declaration
    ) -> Target:
        target = Target(kind, name.text, path, name.span.start)
        self._at[(path, target.start)] = target
        self.nodes[target] = node
        self.owners[target] = owner
        self._add(path, name.span.start, name.span.end, target, True)
        return target

    def _declare(self, module: Module, node: ast.Declaration) -> None:
        path = module.path
        kind = _KINDS.get(type(node))
        if kind is not None:
            name = getattr(node, "name")  # noqa: B009 - all of these have one
            self._new(kind, name, path, node, node)
        params = getattr(node, "params", ())
        for item in fields_of(node):
            is_input = item in params
            self._new("input" if is_input else "field", item.name, path, item, node)
        for mode in getattr(node, "fails", ()):
            self._new("mode", mode, path, mode, node)
        if isinstance(node, ast.WorkerDecl) and node.kind.text == PLAN.name:
            self._declare_steps(path, node, node.body)

    def _declare_steps(self, path: str, node: ast.WorkerDecl, body: ast.Body) -> None:
        for member in body.members:
            if isinstance(member, ast.Block) and member.name.text == "step" and member.labels:
                self._new("step", member.labels[0], path, member, node)
                self._declare_steps(path, node, member.body)

    def _imports(self, scope: Scope, node: ast.Declaration) -> None:
        path = scope.module.path
        if isinstance(node, ast.Import):
            made = self._new("import", node.alias, path, node, node)
            self._aliases[(path, node.alias.text)] = made
        if not isinstance(node, ast.FromImport):
            return
        module = scope.module.imports.get(node)
        for alias in node.names:
            target = None if module is None else self._exported(module, alias.name.text)
            if target is not None:
                self._add(path, alias.name.span.start, alias.name.span.end, target)
            if alias.local is not alias.name:
                local = self._new("alias", alias.local, path, alias, node)
                self._aliases[(path, alias.local.text)] = local
                if target is not None:
                    self.origin[local] = target

    def _exported(self, module: Module, name: str) -> Target | None:
        for scope in self._scopes.values():
            if scope.module is module:
                for space in (scope.names, scope.params, scope.secrets):
                    if name in space:
                        return self.of_entity(space[name])
        return None

    # ------------------------------------------------------------ uses

    def _local(self, scope: Scope, name: str) -> Target | None:
        """The target of a name as it is written in a module."""
        alias = self._aliases.get((scope.module.path, name))
        if alias is not None:
            return alias
        entity = scope.names.get(name)
        return None if entity is None else self.of_entity(entity)

    def _reference(self, span: Span, entity: Entity) -> None:
        target = self.of_entity(entity)
        scope = self._scopes.get(span.source)
        if target is None or scope is None:
            return
        path = scope.module.path
        text = span.text
        first, dot, _ = text.partition(".")
        if dot:
            alias = self._local(scope, first.strip())
            if alias is not None:
                self._add(path, span.start, span.start + len(first.rstrip()), alias)
            last = text.rpartition(".")[2].strip()
            self._add(path, span.end - len(last), span.end, target)
            return
        local = self._local(scope, text)
        self._add(path, span.start, span.end, local if local is not None else target)

    def _step(self, span: Span, declared: Span, type_: Type) -> None:
        target = self._at.get((declared.source.path, declared.start))
        if target is not None:
            path = span.source.path
            self._add(path, span.start, span.end, target)
            self._read(path, span.start, span.end, target.name, type_)

    def _name(
        self,
        span: Span,
        name: str,
        type_: Type | None,
        given: bool,
        node: ast.Declaration | None,
    ) -> None:
        path = span.source.path
        end = span.start + len(name)
        if span.source.text[span.start : end] != name:
            return
        if type_ is not None:
            self._read(path, span.start, end, name, type_)
        if not given or node is None:
            return
        for item in self._inputs(node):
            if item.name.text == name:
                target = self._at.get((node.span.source.path, item.name.span.start))
                if target is not None:
                    self._add(path, span.start, end, target)
                return
        scope = self._scopes.get(node.span.source)
        target = None if scope is None else self._local(scope, name)
        if target is not None and target.kind in ("template", "alias", "import"):
            self._add(path, span.start, end, target)

    def _inputs(self, node: ast.Declaration) -> tuple[ast.FieldDecl, ...]:
        if isinstance(node, ast.SchemaDecl):
            return node.definition.fields if isinstance(node.definition, ast.RecordBody) else ()
        params: tuple[ast.FieldDecl, ...] = getattr(node, "params", ())
        return params

    def _attribute(self, span: Span, owner: Type, name: str) -> None:
        path = span.source.path
        end = span.start + len(name)
        if span.source.text[span.start : end] != name:
            return
        for option in open_up(owner):
            if is_null(option):
                continue
            found = attribute_of(option, name)
            if found is not None:
                self._read(path, span.start, end, name, found)
            declared = option.field(name) if isinstance(option, Record) else None
            if declared is not None and declared.span is not None:
                at = declared.span
                target = self._at.get((at.source.path, at.start))
                if target is not None:
                    self._add(path, span.start, end, target)
                return

    def _read(self, path: str, start: int, end: int, name: str, type_: Type) -> None:
        self._readings.setdefault(path, {})[(start, end)] = Reading(start, end, name, type_)

    # ------------------------------------------------------------ failure modes

    def _modes(self, scope: Scope, node: ast.Declaration) -> None:
        """Uses of the failure modes a declaration declares, and of those a test mocks."""
        if isinstance(node, ast.TestDecl):
            for member in node.body.members:
                if isinstance(member, ast.Block) and member.labels:
                    entity = scope.names.get(member.labels[0].text)
                    if entity is not None and entity.declaration is not None:
                        self._modes_in(scope, member, entity.declaration)
        elif isinstance(node, ast.WorkerDecl | ast.OrchestratorDecl):
            self._modes_in(scope, node, node)

    def _modes_in(self, scope: Scope, within: ast.Node, owner: ast.Declaration) -> None:
        declared = {mode.text: mode for mode in getattr(owner, "fails", ())}
        if not declared:
            return
        for node in walk(within):
            values: list[ast.Node] = []
            if isinstance(node, ast.NumberedSetting):
                values = [node.value]
            elif isinstance(node, ast.Setting) and node.name.text in ("on", "fails"):
                values = [node.value, *getattr(node.value, "items", ())]
            for value in values:
                if isinstance(value, ast.Variable) and value.name in declared:
                    at = declared[value.name].span
                    target = self._at.get((at.source.path, at.start))
                    if target is not None:
                        self._add(scope.module.path, value.span.start, value.span.end, target)
