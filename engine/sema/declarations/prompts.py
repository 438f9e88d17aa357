"""Prompts, messages and expressions of one module: found, checked, made ready to run.

A setting that is a text may be a string, `file("x.j2")`, the name of a declared template, a call
of one that has parameters, a param, or several of these joined with `~`. All become one
`Template`. What a text may name is its `Names`; `param` and the module's templates are always
among them. A secret in a text is an error of its own (ORC803), never an unknown name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import msgspec

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.sema.expressions.compiler import free_names
from engine.sema.expressions.environment import EvaluationError
from engine.sema.expressions.template import Expression, Template
from engine.sema.names.loader import CannotRead, Files, Module, outside_project
from engine.sema.names.scope import Scope
from engine.sema.settings.constants import UNSET, describe
from engine.sema.suggest import closest
from engine.sema.templates.check_template import (
    check_expression,
    check_template,
    check_template_file,
)
from engine.sema.types.definitions import ANY, STRING, Field, Record, Type
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.dotted import dotted
from engine.syntax.visitor import walk

__all__ = ["FILE", "Texts", "file_argument", "rendered"]

#: The function for the text of a file.
FILE = "file"

_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
_SECRET = re.compile(r"\bsecret\b(\s*\.\s*\w+)?")


@dataclass(eq=False)
class Part:
    """A piece of a text: what it adds to the template, and where that is written."""

    text: str
    written: ast.String | SourceFile | ast.Expr

    def span(self, start: int, end: int) -> Span:
        """Where a range of its text is written."""
        if isinstance(self.written, SourceFile):
            return Span(self.written, start, end)
        if isinstance(self.written, ast.String):
            return self.written.sub_span(start, end)
        return self.written.span


@dataclass(eq=False)
class Texts:
    """Texts and expressions of one module.

    Attributes:
        types: The type of each name every text sees: `param` and the templates.
        values: Their values.
        secrets: The type of `secret`, where it may be.
        used: The names that texts have used since it was last emptied.
        ever: The names that texts and expressions have used at all.
    """

    scope: Scope
    files: Files
    types: dict[str, Type] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    secrets: Record = field(default_factory=lambda: Record("secret", ()))
    used: set[str] = field(default_factory=set)
    ever: set[str] = field(default_factory=set)

    @property
    def _module(self) -> Module:
        return self.scope.module

    # ------------------------------------------------------------ files

    def load(self, name: str) -> str | None:
        """The text of an included template, or None; nothing outside the module's folder."""
        path = self._inside(name)
        if path is None:
            return None
        try:
            return self.files.read(path)
        except CannotRead:
            return None

    def _load_source(self, name: str) -> SourceFile | None:
        """The same, with its path for messages."""
        path = self._inside(name)
        if path is None:
            return None
        try:
            return self.files.source(path)
        except CannotRead:
            return None

    def _include_name(self, source: SourceFile) -> str:
        """How a template would include a file, so that one that includes itself is found."""
        shown = self.files.shown(self._module.base_dir)
        return os.path.relpath(source.path, shown).replace(os.sep, "/")

    def _inside(self, name: str) -> str | None:
        path = os.path.normpath(os.path.join(self._module.base_dir, name))
        base = self._module.base_dir.rstrip(os.sep) + os.sep
        return path if path.startswith(base) else None

    def file(self, named: ast.String) -> SourceFile | None:
        """The file that `file("x")` names; reports it if it cannot be read (ORC309)."""
        path = os.path.normpath(os.path.join(self._module.base_dir, named.value))
        try:
            return self.files.source(path)
        except CannotRead as error:
            if error.outside:
                self._report(outside_project(named.value, named.span, error))
                return None
            folder, leaf = os.path.split(path)
            near = closest(leaf, self.files.reader.names(folder))
            if error.reason == "does not exist":
                message = f"`{named.value}` does not exist"
                help = f"looked for {path}"
                if near is not None:
                    better = named.value[: len(named.value) - len(os.path.basename(named.value))]
                    help = f"did you mean `{better}{near}`? ({help})"
            else:
                message, help = f"cannot read `{named.value}`: it {error.reason}", error.help or ""
            self._report(diagnostic("ORC309", message, named.span, help=help or None))
            return None

    def file_text(self, named: ast.String) -> str | None:
        """The text of `file("x")`, or None (reported)."""
        source = self.file(named)
        return None if source is None else source.text

    # ------------------------------------------------------------ texts

    def template(
        self,
        name: str,
        expr: ast.Expr,
        names: Mapping[str, Type],
    ) -> Template | None:
        """Check and make the template of a setting; None if it is none (reported).

        Args:
            name: The setting, for messages.
            names: What it sees besides `param` and the templates.
        """
        parts = self._parts(name, expr)
        if parts is None:
            return None
        scope = {**self.types, **names}
        for part in parts:
            self.used |= self._check(part.written, scope)
        self.ever |= self.used
        return Template(
            "".join(part.text for part in parts),
            self.values,
            self.load,
            name,
            pieces=[(len(part.text), part.span) for part in parts],
            source=self._load_source,
        )

    def _parts(self, name: str, expr: ast.Expr) -> list[Part] | None:
        if isinstance(expr, ast.String):
            return [Part(expr.value, expr)]
        named = file_argument(expr)
        if named is not None:
            source = self.file(named)
            if source is None:
                return None
            return [Part(source.text, source)]
        if isinstance(expr, ast.Binary) and expr.operator == "~":
            left, right = self._parts(name, expr.left), self._parts(name, expr.right)
            return None if left is None or right is None else left + right
        if isinstance(expr, ast.Call) and dotted(expr.function) is not None:
            function = dotted(expr.function) or ""
            if function == FILE:
                self._report(
                    diagnostic(
                        "ORC202",
                        "`file` needs one path, a string",
                        expr.span,
                        help='write `file("prompts/x.j2")`',
                    )
                )
                return None
            known = self.scope.find(function)
            if known is not None and known.kind == "template":
                return [Part(f"{{{{ {expr.span.text} }}}}", expr)]
            self.scope.lookup(function, ("template",), expr.function.span, f"`{name}`")
            return None
        variable = dotted(expr)
        if variable is not None and variable.startswith("param."):
            return [Part(f"{{{{ {variable} }}}}", expr)]
        if variable is not None and variable.startswith("secret."):
            self._report(_secret(expr.span))
            return None
        if variable is not None:
            return self._named_template(name, variable, expr)
        self._report(
            diagnostic(
                "ORC202",
                f"`{name}` needs a text, got {describe(expr)}",
                expr.span,
                help='write `"..."`, `"""..."""`, `file("x.j2")` or the name of a template',
            )
        )
        return None

    def _named_template(self, name: str, variable: str, expr: ast.Expr) -> list[Part] | None:
        entity = self.scope.lookup(variable, ("template",), expr.span, f"`{name}`")
        if entity is None:
            return None
        assert isinstance(entity.declaration, ast.TemplateDecl)
        if entity.declaration.params:
            needed = ", ".join(param.name.text for param in entity.declaration.params)
            self._report(
                diagnostic(
                    "ORC202",
                    f"template `{variable}` needs arguments",
                    expr.span,
                    help=f"write `{variable}({needed})`",
                )
            )
            return None
        return [Part(f"{{{{ {variable} }}}}", expr)]

    def _check(
        self, written: ast.String | SourceFile | ast.Expr, scope: Mapping[str, Type]
    ) -> set[str]:
        """Check a part of a text; gives the names it uses."""
        # A secret is known here, so that naming one is one fault: that it is in a text.
        scope = {**scope, "secret": ANY}
        if isinstance(written, SourceFile):
            used = check_template_file(
                written,
                scope,
                load=self._load_source,
                report=self._take,
                name=self._include_name(written),
                observer=self.scope.observer,
            )
            whole = Span(written, 0, len(written.text))
        elif isinstance(written, ast.String):
            used = check_template(
                written,
                scope,
                load=self._load_source,
                report=self._take,
                observer=self.scope.observer,
            )
            whole = written.span
        else:
            self._check_expr(written, scope, secrets=False)
            return set(free_names(written))
        if "secret" in used:
            found = _SECRET.search(whole.text)
            self._report(_secret(whole if found is None else whole.sub(*found.span())))
        return used

    def _check_expr(self, expr: ast.Expr, scope: Mapping[str, Type], *, secrets: bool) -> Type:
        if not secrets:
            scope = {**scope, "secret": ANY}
            for span in _secrets_in(expr):
                self._report(_secret(span))
        return check_expression(expr, scope, self._take, self.ever, self.scope.observer)

    def comparison(self, expr: ast.Expr) -> None:
        """Report what a test of params compares and its types forbid, and nothing else."""

        def take(found: Diagnostic) -> None:
            if found.code == "ORC202":
                self._report(found)

        check_expression(expr, {"param": self.types["param"]}, take, self.ever, None)

    def _take(self, found: Diagnostic) -> None:
        name = found.span.text
        if found.code == "ORC303":
            if self.scope.excused(name):
                return
            if found.help is not None:
                # It is known here only so that naming it is a fault of its own.
                help = found.help.replace(", `secret`", "")
                found = msgspec.structs.replace(found, help=help)
            imported = self.scope.under_alias(name, "template")
            if imported is not None:
                found = msgspec.structs.replace(
                    found,
                    help=f"did you mean `{imported}`?",
                    fix=Fix(f"write `{imported}`", (Edit(found.span, imported),)),
                )
        if found.code == "ORC302":
            for kind, known in (("param", self.scope.params), ("secret", self.scope.secrets)):
                if found.message.startswith(f"`{kind}` has no "):
                    name = name.strip("\"'\\")
                    if not self.scope.excused(name):
                        self._report(_undeclared(kind, name, known, found.span, self.scope))
                    return
            for alias in self.scope.aliases:
                if found.message.startswith(f"`{alias}` has no "):
                    wanted = alias if name == "param" else name
                    help_text = self.scope.elsewhere("param", wanted) or found.help
                    found = msgspec.structs.replace(found, help=help_text)
        self._report(found)

    def _placeholders(self, expr: ast.Expr) -> None:
        """ORC310: `{{ x }}` in a string that is not a template."""
        for node in walk(expr):
            found = _PLACEHOLDER.search(node.value) if isinstance(node, ast.String) else None
            if found is None:
                continue
            assert isinstance(node, ast.String)
            inner = found[1].strip()
            alone = found[0] == node.value
            self._report(
                diagnostic(
                    "ORC310",
                    f"`{found[0]}` is literal text here: this string is not a template",
                    node.sub_span(*found.span()),
                    help=f"write `{inner}`"
                    if alone
                    else f'join the parts with `~`: `"..." ~ {inner}`',
                )
            )

    # ------------------------------------------------------------ expressions

    def expression(
        self,
        expr: ast.Expr,
        names: Mapping[str, Type],
        *,
        secrets: bool = False,
    ) -> Expression:
        """Check and make the expression of a setting."""
        scope = {**self.types, **names}
        if secrets:
            scope["secret"] = self.secrets
        self._check_expr(expr, scope, secrets=secrets)
        if "{{" in expr.span.text:
            self._placeholders(expr)
        return Expression(expr, self.values)

    def planned_type(
        self,
        expr: ast.Expr,
        names: Mapping[str, Type],
        known: frozenset[str],
        change: Callable[[Diagnostic], Diagnostic | None],
    ) -> Type:
        """Check an expression of a plan and give its type.

        Args:
            known: The paths that are known not to be null.
            change: Gives what is reported for a finding: itself, another one, or nothing.
        """

        def take(found: Diagnostic) -> None:
            changed = change(found)
            if changed is not None:
                self._take(changed)

        scope = {**self.types, "secret": ANY, **names}
        for span in _secrets_in(expr):
            self._report(_secret(span))
        if "{{" in expr.span.text:
            self._placeholders(expr)
        return check_expression(expr, scope, take, self.ever, self.scope.observer, known)

    def typed_expression(
        self, expr: ast.Expr, names: Mapping[str, Type]
    ) -> tuple[Expression, Type]:
        """The same, without secrets, and its type."""
        type_ = self._check_expr(expr, {**self.types, **names}, secrets=False)
        return Expression(expr, self.values), type_

    # ------------------------------------------------------------ names

    def declare_params(self, params: Mapping[str, tuple[Field, Any]]) -> None:
        """Make `param` known: the type and value of each, by local name."""
        self.types["param"] = Record("param", tuple(field for field, _ in params.values()))
        self.values["param"] = {
            name: value for name, (_, value) in params.items() if value is not UNSET
        }

    def declare_secrets(self) -> None:
        """Make the module's secrets known."""
        fields = tuple(
            Field(name, STRING, span=entity.name_span if entity.declaration is not None else None)
            for name, entity in self.scope.secrets.items()
        )
        self.secrets = Record("secret", fields)

    def _report(self, found: Diagnostic) -> None:
        self.scope.diagnostics.append(found)


def rendered(template: Template) -> str:
    """What other templates see of a declared one without parameters."""
    try:
        return template.render({})
    except EvaluationError:
        # What is wrong with it was reported where it is declared, or needs a param's value.
        return template.text


def file_argument(expr: ast.Expr) -> ast.String | None:
    """The path in `file("x")`, or None if the expression is something else."""
    if (
        isinstance(expr, ast.Call)
        and isinstance(expr.function, ast.Variable)
        and expr.function.name == FILE
        and len(expr.args) == 1
        and not expr.kwargs
        and isinstance(expr.args[0], ast.String)
    ):
        return expr.args[0]
    return None


def _undeclared(kind: str, name: str, known: Iterable[str], span: Span, scope: Scope) -> Diagnostic:
    near = closest(name, known)
    quote = re.match(r"\\?[\"']", span.text)
    mark = quote[0] if quote else ""
    example = f"param {name}: string" if kind == "param" else f"secret {name}"
    help = scope.elsewhere(kind, name) or f"declare it: `{example}`"
    return diagnostic(
        "ORC101",
        f"unknown {kind} `{name}`",
        span,
        help=f"did you mean `{near}`?" if near else help,
        fix=Fix(f"write `{near}`", (Edit(span, f"{mark}{near}{mark}"),)) if near else None,
    )


def _secrets_in(expr: ast.Expr) -> list[Span]:
    """Where an expression names a secret."""
    found: list[Span] = []
    # `secret.KEY` is one place, and `x.secret` none.
    for node in walk(expr, into=lambda node: not _is_field(node)):
        variable = node.object if _is_field(node) else node
        if isinstance(variable, ast.Variable) and variable.name == "secret":
            found.append(node.span)
    return found


def _is_field(node: ast.Node) -> TypeGuard[ast.Attribute]:
    """Whether a node is `NAME.FIELD`."""
    return isinstance(node, ast.Attribute) and isinstance(node.object, ast.Variable)


def _secret(span: Span) -> Diagnostic:
    return diagnostic(
        "ORC803",
        "a secret may not be used here, where a model, a person or a log could read it",
        span,
        help="secrets go into `headers`, `url`, `query`, `json`, `form` and `env` alone",
    )
