"""What must be known before bodies are read: schemas, params, secrets, templates, signatures.

Types are resolved for all modules first, for declarations may be in any order and refer to
each other over imports. Nothing here looks into a body.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.sema.declarations.callables import Signature
from engine.sema.declarations.prompts import Texts, rendered
from engine.sema.declarations.resolve import TypeResolver, check_recursion
from engine.sema.expressions.template import TemplateFunction
from engine.sema.model import Param
from engine.sema.names.loader import CannotRead, Files, outside_project
from engine.sema.names.observer import Observer
from engine.sema.names.scope import Entity, Scope, Scopes
from engine.sema.settings.constants import UNSET
from engine.sema.settings.params import default_value, given_value
from engine.sema.suggest import closest
from engine.sema.templates.check_template import check_expression, check_template
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import (
    ANY,
    MISSING,
    STRING,
    Definition,
    Field,
    Function,
    Named,
    Record,
    Type,
)
from engine.sema.types.external_schema import load_external
from engine.source import Span
from engine.syntax import ast

__all__ = ["Declarations"]


class Declarations:
    """The types, params and templates of a program.

    Args:
        given: The values of params the caller gave.
        env: Where else values of params are looked for.

    Attributes:
        params: By canonical name.
        schemas: The same.
        param_values: The folded value of each param (or UNSET), by entity.
        input_problems: What is wrong with the values the caller gave.
        missing_params: Params without a value and without a default.
    """

    def __init__(
        self,
        scopes: Scopes,
        files: Files,
        given: Mapping[str, Any],
        env: Mapping[str, str],
        diagnostics: list[Diagnostic],
    ) -> None:
        self._files = files
        self._given = given
        self._env = env
        self._diagnostics = diagnostics
        self._definitions: dict[Entity, Definition] = {}
        self._param_types: dict[Entity, Type] = {}
        self._template_types: dict[Entity, Type] = {}
        self._template_values: dict[Entity, Any] = {}
        self._resolvers: dict[str, TypeResolver] = {}
        self.params: dict[str, Param] = {}
        self.schemas: dict[str, Type] = {}
        self.param_values: dict[Entity, Any] = {}
        self.input_problems: list[str] = []
        self.missing_params: list[str] = []
        self.texts: dict[str, Texts] = {}
        self._declare_types(scopes)
        for scope in scopes.all:
            self._declare_params(scope)
            self._declare_texts(scope)

    def report(self, found: Diagnostic) -> None:
        """Add a finding."""
        self._diagnostics.append(found)

    # ------------------------------------------------------------ types

    def _declare_types(self, scopes: Scopes) -> None:
        for scope in scopes.all:
            for entity in scope.own("schema"):
                definition = Definition(entity.canonical, entity.name_span)
                self._definitions[entity] = definition
                self.schemas[entity.canonical] = Named(definition)
        for scope in scopes.all:
            resolver = self._resolver(scope)
            for entity in scope.own("schema"):
                node = entity.declaration
                assert isinstance(node, ast.SchemaDecl)
                definition = self._definitions[entity]
                resolver.definition(node, definition)
                if scope.module.has_fault(node.span.start):
                    # Which fields it has is not certain, so nothing is held against them.
                    definition.type = ANY
                elif isinstance(node.definition, ast.ExternalSchema):
                    self._external(scope, node.definition.path, definition)
        check_recursion(self._definitions.values(), self.report)
        for resolver in self._resolvers.values():
            resolver.finish()
        for entity, definition in self._definitions.items():
            observer = scopes.of[entity.module.path].observer
            self._check_invariants(entity, definition.type, observer)

    def _check_invariants(
        self, entity: Entity, type_: Type | None, observer: Observer | None
    ) -> None:
        """Check the `assert`s of a schema, which see its fields and nothing else."""
        node = entity.declaration
        if (
            not isinstance(node, ast.SchemaDecl)
            or not isinstance(node.definition, ast.RecordBody)
            or not isinstance(type_, Record)
        ):
            return
        names = {field.name: field.type for field in type_.fields}
        if observer is not None:
            observer.enter(node)
        for assertion in node.definition.assertions:
            check_expression(assertion.test, names, self.report, observer=observer)
            if isinstance(assertion.message, ast.String):
                check_template(assertion.message, names, report=self.report, observer=observer)
            elif assertion.message is not None:
                check_expression(assertion.message, names, self.report, observer=observer)

    def _resolver(self, scope: Scope) -> TypeResolver:
        path = scope.module.path
        if path not in self._resolvers:

            def resolve(name: str, span: Span) -> Type | None:
                return self._type_of(scope, name, span)

            self._resolvers[path] = TypeResolver(resolve, self.report, scope.visible("schema"))
        return self._resolvers[path]

    def _type_of(self, scope: Scope, name: str, span: Span) -> Type | None:
        entity = scope.find(name)
        if entity is None:
            return ANY if scope.excused(name) else None
        if entity.kind == "unknown":
            return ANY
        if entity.kind != "schema":
            scope.lookup(name, ("schema",), span, "a type")
            return ANY
        if scope.observer is not None:
            scope.observer.reference(span, entity)
        return Named(self._definitions[entity])

    def _external(self, scope: Scope, reference: ast.String, definition: Definition) -> None:
        named = reference.value.partition("#")[0]
        path = os.path.normpath(os.path.join(scope.module.base_dir, named))
        try:
            text = self._files.read(path)
        except CannotRead as error:
            if error.outside:
                self.report(outside_project(named, reference.span, error))
                return
            folder, leaf = os.path.split(path)
            near = closest(leaf, self._files.reader.names(folder))
            missing = error.reason == "does not exist"
            message = f"cannot find `{named}`" if missing else f"cannot read `{named}`: it {error}"
            help = error.help or f"looked for {path}"
            if near is not None:
                better = named[: len(named) - len(os.path.basename(named))] + near
                help = f"did you mean `{better}`? ({help})"
            self.report(diagnostic("ORC106", message, reference.span, help=help))
            return
        found = load_external(definition.name, reference, text, self.report)
        if found is not None:
            definition.type = found

    def signature(
        self,
        scope: Scope,
        node: ast.WorkerDecl | ast.VerifierDecl | ast.OrchestratorDecl,
    ) -> Signature:
        """The inputs and the output of a callable."""
        resolver = self._resolver(scope)
        inputs = resolver.fields(node.params)
        output: Type = ANY
        if not isinstance(node, ast.VerifierDecl):
            output = resolver.type(node.output, node.output_constraints)
        resolver.finish()
        return Signature(inputs, output)

    # ------------------------------------------------------------ params

    def _declare_params(self, scope: Scope) -> None:
        resolver = self._resolver(scope)
        for entity in scope.own("param"):
            node = entity.declaration
            assert isinstance(node, ast.ParamDecl)
            before = len(self._diagnostics)
            type_ = resolver.type(node.type, node.constraints)
            sound = len(self._diagnostics) == before
            self._param_types[entity] = type_
            contract = Contract(type_)
            default = default_value(node, contract, self.report) if sound else UNSET
            value = (
                given_value(entity.canonical, contract, self._given, self._env, self.input_problems)
                if sound
                else UNSET
            )
            if value is UNSET:
                value = default
            if value is UNSET and node.default is None:
                self.missing_params.append(entity.canonical)
            self.param_values[entity] = value
            self.params[entity.canonical] = Param(
                entity.canonical, contract, None if value is UNSET else value, node.span, node.doc
            )

    # ------------------------------------------------------------ texts

    def _declare_texts(self, scope: Scope) -> None:
        texts = Texts(scope, self._files)
        self.texts[scope.module.path] = texts
        texts.declare_params(
            {
                name: (
                    Field(name, self._param_types.get(entity, ANY), span=_declared_at(entity)),
                    self.param_values.get(entity, UNSET),
                )
                for name, entity in scope.params.items()
                if entity.kind in ("param", "unknown")
            }
        )
        texts.declare_secrets()
        resolver = self._resolver(scope)
        own = scope.own("template")
        for entity in own:
            node = entity.declaration
            assert isinstance(node, ast.TemplateDecl)
            fields = resolver.fields(node.params)
            self._template_types[entity] = (
                Function(entity.name, fields, STRING) if fields else STRING
            )
        resolver.finish()
        self._show_templates(scope, texts)
        waiting = {entity.name: entity for entity in own}
        for entity in own:
            self._make_template(entity, texts, waiting, [])

    def _show_templates(self, scope: Scope, texts: Texts) -> None:
        for local, entity in scope.names.items():
            if entity in self._template_types:
                texts.types[local] = self._template_types[entity]
                if entity in self._template_values:
                    texts.values[local] = self._template_values[entity]
        for alias, inner in scope.aliases.items():
            if inner is None:
                texts.types[alias] = ANY
                continue
            below = self.texts[inner.module.path]
            names = [n for n, e in inner.names.items() if e.kind == "template"]
            if names:
                texts.types[alias] = Record(
                    alias,
                    tuple(
                        Field(name, below.types[name], span=inner.names[name].name_span)
                        for name in names
                    ),
                )
                texts.values[alias] = {n: below.values[n] for n in names if n in below.values}

    def _make_template(
        self, entity: Entity, texts: Texts, waiting: dict[str, Entity], path: list[str]
    ) -> None:
        """Make a template, those it names first; one that needs itself is reported."""
        if entity.name not in waiting or entity in self._template_values:
            return
        node = entity.declaration
        assert isinstance(node, ast.TemplateDecl)
        type_ = self._template_types[entity]
        fields = type_.params if isinstance(type_, Function) else ()
        names = {field.name: field.type for field in fields}
        if texts.scope.observer is not None:
            texts.scope.observer.enter(node)
        made = texts.template(f"template {entity.name}", node.text, names)
        needed = made.names if made is not None else frozenset()
        for name in sorted(needed):
            if name == entity.name or name in path:
                chain = " -> ".join(
                    [*path[path.index(name) if name in path else 0 :], entity.name, name]
                )
                if name not in names:
                    self.report(
                        diagnostic(
                            "ORC313",
                            f"template `{entity.name}` needs itself: {chain}",
                            node.name.span,
                        )
                    )
                    made = None
            elif name in waiting and name not in names:
                self._make_template(waiting[name], texts, waiting, [*path, entity.name])
        value: Any = ""
        if made is not None:
            # Made again, for the templates it names have their values now.
            made = made.seeing(texts.values, entity.name)
            value = rendered(made) if not fields else made
            if fields:
                defaults = {f.name: f.default for f in fields if f.default is not MISSING}
                value = TemplateFunction(
                    entity.name, tuple(field.name for field in fields), defaults, made
                )
        self._template_values[entity] = value
        texts.values[entity.name] = value


def _declared_at(entity: Entity) -> Span | None:
    """Where a name is declared, or None where that could not be read."""
    return None if entity.declaration is None else entity.name_span
