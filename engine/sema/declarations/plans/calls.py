"""Calls in a plan: `worker(name=value, ...)`, checked against the inputs of the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.diagnostics import Edit, Fix, diagnostic
from engine.sema.declarations.callables import Signature
from engine.sema.declarations.plans.compiling import value_of
from engine.sema.declarations.plans.names import PlanNames
from engine.sema.declarations.plans.typing import PlanTyper
from engine.sema.names.scope import Entity, Scope
from engine.sema.suggest import closest, names_list
from engine.sema.types.definitions import ANY, Field, Record, Type
from engine.source import Span
from engine.syntax import ast
from engine.syntax.dotted import dotted

__all__ = ["CallReader", "Called"]


@dataclass(eq=False)
class Called:
    """A call that could be read.

    Attributes:
        name: The worker as it is written.
        worker: Its canonical name.
        span: Where it is written.
        input: What it is given, as trees.
        is_sound: Whether nothing is wrong with it.
    """

    name: str
    worker: str
    span: Span
    input: dict[str, Any]
    output: Type
    is_sound: bool


class CallReader:
    """Reads the calls of one module.

    Args:
        signatures: The inputs and output of every callable of the program.
    """

    def __init__(
        self, scope: Scope, typer: PlanTyper, signatures: Mapping[Entity, Signature]
    ) -> None:
        self._scope = scope
        self._typer = typer
        self._signatures = signatures

    def read(self, expr: ast.Expr | None, names: PlanNames) -> Called | None:
        """Read the `call` of a step; None if it is not known what it calls (reported)."""
        if expr is None:
            return None
        if not isinstance(expr, ast.Call):
            name = dotted(expr)
            self._typer.report(
                diagnostic(
                    "ORC202",
                    "`call` needs a call of a worker",
                    expr.span,
                    help=f"write `call = {name or 'worker'}(input=value)`",
                )
            )
            return None
        name = dotted(expr.function)
        if name is None:
            self._typer.report(
                diagnostic("ORC202", "`call` needs the name of a worker", expr.function.span)
            )
            return None
        entity = self._scope.lookup(name, ("worker",), expr.function.span, "`call`")
        signature = None if entity is None else self._signatures.get(entity)
        if entity is None or signature is None:
            for value in (*expr.args, *(value for _, value in expr.kwargs)):
                self._typer.type_of(value, names)
            return None
        before = len(self._scope.diagnostics)
        given = self._inputs(expr, entity, signature.inputs, names)
        errors = any(item.severity == "error" for item in self._scope.diagnostics[before:])
        span, output = expr.function.span, signature.output
        return Called(name, entity.canonical, span, given, output, not errors)

    def output(self, expr: ast.Expr | None) -> Type:
        """What a call gives; `json` where that is not known. Reports nothing."""
        name = dotted(expr.function) if isinstance(expr, ast.Call) else None
        entity = None if name is None else self._scope.find(name)
        signature = None if entity is None else self._signatures.get(entity)
        return ANY if signature is None else signature.output

    def check_again(self, expr: ast.Expr, names: PlanNames) -> None:
        """Check the values of a call where they are of other types, and nothing else."""
        if not isinstance(expr, ast.Call):
            return
        name = dotted(expr.function)
        entity = None if name is None else self._scope.find(name)
        signature = None if entity is None else self._signatures.get(entity)
        fields = {} if signature is None else {field.name: field for field in signature.inputs}
        for key, value in expr.kwargs:
            if key.text in fields:
                type_ = self._typer.type_of(value, names)
                if type_ is not None:
                    what = f"`{key.text}` of `{name}`, which combines its own outputs too,"
                    self._typer.fits(value, type_, fields[key.text].type, what, names)

    # ------------------------------------------------------------ inputs

    def _inputs(
        self, call: ast.Call, entity: Entity, fields: tuple[Field, ...], names: PlanNames
    ) -> dict[str, Any]:
        known = {field.name: field for field in fields}
        record = Record(None, fields)
        given: dict[str, Any] = {}
        written: set[str] = set()
        misnamed = bool(call.args)
        for number, value in enumerate(call.args):
            self._positional(value, number, fields, entity)
            self._typer.type_of(value, names)
        for key, value in call.kwargs:
            if self._scope.observer is not None:
                self._scope.observer.attribute(key.span, record, key.text)
            type_ = self._typer.type_of(value, names)
            if key.text in written:
                self._typer.report(diagnostic("ORC105", f"`{key.text}` is given twice", key.span))
                continue
            written.add(key.text)
            field = known.get(key.text)
            if field is None:
                misnamed = True
                self._unknown(key, entity, known)
                continue
            what = f"`{key.text}` of `{entity.name}`"
            if type_ is None or not self._typer.fits(value, type_, field.type, what, names):
                continue
            given[key.text] = value_of(value, names, self._typer)
        missing = [field.name for field in fields if field.required and field.name not in written]
        # An input with a wrong name is most likely the one that is missing.
        if missing and not misnamed and not entity.module.has_fault(entity.name_span.start):
            self._typer.report(
                diagnostic(
                    "ORC202",
                    f"`{entity.name}` needs {names_list([f'{name}' for name in missing])}",
                    call.function.span,
                    help=f"write `{entity.name}({', '.join(f'{name}=...' for name in missing)})`",
                )
            )
        return given

    def _positional(
        self, value: ast.Expr, number: int, fields: tuple[Field, ...], entity: Entity
    ) -> None:
        name = fields[number].name if number < len(fields) else None
        self._typer.report(
            diagnostic(
                "ORC202",
                f"the inputs of `{entity.name}` are given by name",
                value.span,
                help=f"write `{name}={' '.join(value.span.text.split())}`"
                if name is not None and len(value.span.text) < 40
                else "write `name=value`",
                fix=None
                if name is None
                else Fix(
                    "name the input", (Edit(value.span, f"{name}={value.span.text}"),), "unsafe"
                ),
            )
        )

    def _unknown(self, key: ast.Name, entity: Entity, known: Mapping[str, Field]) -> None:
        if entity.module.has_fault(entity.name_span.start):
            return  # its inputs may be others than those that were read
        near = closest(key.text, known)
        listed = names_list(known)
        self._typer.report(
            diagnostic(
                "ORC101",
                f"`{entity.name}` has no input `{key.text}`",
                key.span,
                help=f"did you mean `{near}`?"
                if near
                else f"there is {listed}"
                if listed
                else "it has no inputs",
                fix=Fix(f"write `{near}`", (Edit(key.span, near),)) if near else None,
            )
        )
