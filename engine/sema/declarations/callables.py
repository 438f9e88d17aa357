"""Workers, verifiers and orchestrators of one module: from declarations to the model.

Each declaration is read by the table of settings, its texts and expressions are checked with the
names they see, and the result is a record of `engine.sema.model`. A declaration with a fault still
gives a record, as far as it goes, so that one fault does not hide or cause others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.errors import BUILTIN_MODES
from engine.sema import model
from engine.sema.declarations.policy import (
    read_hooks,
    read_limits,
    read_policy,
    read_repair,
    read_retry,
)
from engine.sema.declarations.prompts import Texts
from engine.sema.declarations.sources import input_sources
from engine.sema.declarations.written_values import wrong_constants
from engine.sema.expressions.template import Expression, Template
from engine.sema.kinds import Declared, KindError, WorkerKind, asked, find_kind, kind_names
from engine.sema.kinds.common import worker_settings
from engine.sema.kinds.mcp_calls import Snapshots
from engine.sema.kinds.plan import PLAN
from engine.sema.names.scope import Entity, Scope
from engine.sema.settings.bodies import BodyReader, Settings
from engine.sema.settings.table import KINDS, Kind, defaults_of
from engine.sema.settings.values import Computed, Text
from engine.sema.suggest import closest, names_list
from engine.sema.templates.hook_types import hook_names
from engine.sema.templates.run_types import RUN_ESCALATED
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import ANY, BOOL, FLOAT, INT, STRING, Field, Record, Type
from engine.sema.types.json_schema import may_fit
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["CallableReader", "PlanBody", "Signature"]

#: Names that expressions see besides the inputs; an input of that name would hide one.
_RESERVED = {
    "worker": ("param", "secret", "task", "response", "loop"),
    "plan": ("param", "secret", "task", "loop", "item", "index", "parts", "last"),
    "verifier": ("param", "secret", "ok", "feedback", "score", "loop"),
    "orchestrator": ("param", "secret", "goal", "run", "loop"),
}
_TASK = Record("task", (Field("key", STRING),))
_VERDICT: Mapping[str, Type] = {"ok": BOOL, "feedback": STRING, "score": FLOAT}
#: The body of a declaration whose kind is not known: nothing of it can be read.
_UNKNOWN = Kind("unknown", "bodies of an unknown kind", worker_settings())
#: Findings after which no one knows whether a prompt uses an input.
_NOT_ALL_READ = ("ORC301", "ORC303", "ORC309", "ORC310", "ORC313")
#: What may be inherited: a variable, or all that begin so.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?|\*")
#: Settings that carry what a worker sends out, where `task.key` can be passed on.
_SENT = ("url", "query", "headers", "json", "form", "args", "run", "stdin", "env")


@dataclass(eq=False)
class Signature:
    """The inputs and output of a callable, resolved before any body is read."""

    inputs: tuple[Field, ...]
    output: Type

    @property
    def names(self) -> dict[str, Type]:
        """The types of the inputs, as expressions see them."""
        return {field.name: field.type for field in self.inputs}


@dataclass(eq=False)
class PlanBody:
    """The body of a `via plan` worker, its settings read."""

    entity: Entity
    node: ast.WorkerDecl
    settings: Settings
    signature: Signature


class CallableReader:
    """Reads the callables of one module.

    Args:
        scope: The module's names.
        bodies: Reads bodies by the table.
        texts: Checks texts and expressions.
        effects: The effect of every worker of the program by canonical name; filled by
            `worker`, read by `orchestrator`, so workers of all modules are read first.
        snapshots: The kept tools of MCP servers.

    Attributes:
        plans: The bodies of plans, whose steps are read when all contracts are known.
    """

    def __init__(
        self,
        scope: Scope,
        bodies: BodyReader,
        texts: Texts,
        effects: dict[str, str],
        snapshots: Snapshots,
    ) -> None:
        self._scope = scope
        self._bodies = bodies
        self._texts = texts
        self._effects = effects
        self._snapshots = snapshots
        self._base_dir = scope.module.base_dir
        self.plans: list[PlanBody] = []

    def _report(self, found: Diagnostic) -> None:
        self._scope.diagnostics.append(found)

    def _enter(self, node: ast.Declaration) -> None:
        if self._scope.observer is not None:
            self._scope.observer.enter(node)

    # ------------------------------------------------------------ workers

    def worker(self, entity: Entity, node: ast.WorkerDecl, signature: Signature) -> model.Worker:
        """Read a worker."""
        owner = f"worker `{node.name.text}`"
        self._enter(node)
        before = len(self._scope.diagnostics)
        kind = self._kind("worker", node.kind)
        fails = self._fails(node.fails)
        self._shadowed("plan" if kind is PLAN else "worker", node.params)
        settings = Settings(_UNKNOWN, node.name.span)
        values: dict[str, Any] = {}
        facts = model.Facts()
        body = None if kind is None else kind.body("worker")
        if kind is not None and body is not None:
            modes = frozenset(fails) | BUILTIN_MODES | kind.modes
            settings = self._bodies.read(node.body, body, owner, node.name.span, modes)
            self._texts.used.clear()
            values = self.values(settings, signature)
            found = self._scope.diagnostics[before:]
            # A misspelt name is not an unused one: ORC307 keeps quiet next to an ORC303.
            is_certain = settings.exprs.keys() <= values.keys() and not any(
                item.code in _NOT_ALL_READ for item in found
            )
            it = self._declared(node, owner, settings, signature, is_certain)
            facts = self._by_kind(kind, it, values)
            if not any(i.severity == "error" for i in self._scope.diagnostics[before:]):
                self._check_repetition(settings, node)
        if kind is PLAN:
            self.plans.append(PlanBody(entity, node, settings, signature))
        effect: model.Effect = settings.find("effect") or "read"
        self._effects[entity.canonical] = effect
        retry = read_retry(settings)
        return model.Worker(
            name=entity.canonical,
            kind=node.kind.text,
            inputs=Contract.of_fields(signature.inputs, entity.canonical, node.doc),
            output=Contract(signature.output),
            fails=fails,
            effect=effect,
            trust=settings.find("trust") or "trusted",
            settings=values,
            base_dir=self._base_dir,
            span=node.name.span,
            doc=node.doc,
            timeout_ms=settings.find("timeout"),
            retry=retry,
            repair_max=read_repair(settings),
            fallback=tuple(e.canonical for e in settings.find("fallback") or ()),
            facts=facts,
            commutes=bool(settings.find("commutes")),
            show=settings.find("show"),
            sources=input_sources(signature.inputs, self._scope),
        )

    def _kind(self, declared: Literal["worker", "verifier"], kind: ast.Name) -> WorkerKind | None:
        """The kind after `via`; reported where there is none that can be used."""
        try:
            known = find_kind(kind.text)
        except KindError as error:
            self._report(diagnostic("ORC101", str(error), kind.span, help=error.help))
            return None
        if known is not None and known.body(declared) is not None:
            return known
        names = kind_names(declared)
        near = closest(kind.text, names)
        self._report(
            diagnostic(
                "ORC101",
                f"there are no `{kind.text}` {declared}s",
                kind.span,
                help=(f"did you mean `{near}`? " if near else "")
                + f"after `via` is one of {names_list(names)}",
                fix=Fix(f"write `{near}`", (Edit(kind.span, near),)) if near else None,
            )
        )
        return None

    def _fails(self, names: tuple[ast.Name, ...]) -> tuple[str, ...]:
        found: list[str] = []
        for name in names:
            if name.text in BUILTIN_MODES:
                self._report(
                    diagnostic(
                        "ORC102",
                        f"`{name.text}` is a built-in failure mode and may not be declared",
                        name.span,
                        help="every call can end with it; remove it here",
                    )
                )
            elif name.text in found:
                self._report(
                    diagnostic("ORC102", f"`{name.text}` is already declared here", name.span)
                )
            else:
                found.append(name.text)
        return tuple(found)

    def _shadowed(self, kind: str, params: tuple[ast.FieldDecl, ...]) -> None:
        for param in params:
            name = param.name.text
            if name in _RESERVED[kind]:
                what = (
                    "the orchestrator's pinned goal"
                    if name == "goal"
                    else f"`{name}`, which expressions see here"
                )
                self._report(
                    diagnostic(
                        "ORC109", f"input `{name}` hides {what}", param.name.span, help="rename it"
                    )
                )

    def values(self, settings: Settings, signature: Signature) -> dict[str, Any]:
        """The settings as the model keeps them: plain values, names, templates, expressions."""
        values = defaults_of(settings.kind)
        for row in settings.kind.rows:
            if row.name in settings.values:
                values[row.name] = _plain(settings.values[row.name])
            elif row.name in settings.exprs and not _is_planned(row.value):
                made = self._text(row.name, row.value, settings.exprs[row.name], signature)
                if made is not None:
                    values[row.name] = made
            elif (block := settings.block(row.name)) is not None and block.kind.numbered:
                values[row.name] = dict(block.numbered)
        if "inherit" in settings.values:
            values["inherit"] = self._inherited(settings)
        return values

    def _inherited(self, settings: Settings) -> tuple[str, ...]:
        """Names of variables, of which a declared secret counts as used then."""
        names: tuple[str, ...] = settings.values["inherit"]
        for name in names:
            if name in self._scope.secrets:
                self._scope.secrets[name].uses += 1
            elif not _VARIABLE.fullmatch(name):
                self._report(
                    diagnostic(
                        "ORC202",
                        f"`inherit` needs names of variables, got `{name}`",
                        settings.spans["inherit"],
                        help='`*` may only be at the end of a name: `"GIT_*"`',
                    )
                )
        return names

    def _text(
        self, name: str, value: object, expr: ast.Expr, signature: Signature
    ) -> Template | Expression | None:
        names = dict(signature.names)
        if isinstance(value, Text):
            return self._texts.template(name, expr, names)
        assert isinstance(value, Computed)
        if value.scope == "call":
            names.setdefault("task", _TASK)
        elif value.scope == "response":
            names["response"] = ANY
            names.setdefault("status", INT)
            names.setdefault("headers", ANY)
        elif value.scope == "verdict":
            names.update(_VERDICT)
        elif value.scope == "escalate":
            names["run"] = RUN_ESCALATED
        return self._texts.expression(expr, names, secrets=value.secrets)

    # ------------------------------------------------------------ what a kind adds

    def _declared(
        self,
        node: ast.WorkerDecl | ast.VerifierDecl,
        owner: str,
        settings: Settings,
        signature: Signature,
        is_certain: bool,
    ) -> Declared:
        return Declared(
            node=node,
            owner=owner,
            settings=settings,
            inputs=signature.inputs,
            names={**self._texts.types, "task": _TASK, **signature.names},
            values=self._texts.values,
            base_dir=self._base_dir,
            project=self._texts.files.project,
            with_python=self._texts.files.with_python,
            read=frozenset(self._texts.used),
            is_certain=is_certain,
            is_whole=not self._scope.module.syntax_errors,
            snapshots=self._snapshots,
        )

    def _by_kind(self, kind: WorkerKind, it: Declared, values: dict[str, Any]) -> model.Facts:
        """Let a kind check a declaration and add to its settings; what it knows of it."""
        try:
            more = asked(kind, "table of settings", lambda it: dict(kind.derived(it)), it, dict)
            values.update(more)
            for item in asked(kind, "check", _all_of(kind), it, list):
                self._report(item)
            return asked(kind, "table of facts", kind.facts, values, model.Facts)
        except KindError as error:
            self._report(diagnostic("ORC101", str(error), it.node.kind.span, help=error.help))
            return model.Facts()

    def _check_repetition(self, settings: Settings, node: ast.WorkerDecl) -> None:
        effect = settings.find("effect")
        if effect not in model.CHANGING:
            return
        retry = read_retry(settings)
        retried = retry is not None and retry.max > 0
        name = node.name.text
        if effect == "once":
            for setting, on in (("retry", retried), ("fallback", bool(settings.get("fallback")))):
                if on:
                    self._report(
                        diagnostic(
                            "ORC503",
                            f"`{name}` is a `once` worker; `{setting}` could do it twice",
                            settings.spans[setting],
                            help=f"remove `{setting}`, or use `effect = write` with `task.key`",
                        )
                    )
        elif retried and not any(
            reads_task_key(settings.exprs[n]) for n in _SENT if n in settings.exprs
        ):
            self._report(
                diagnostic(
                    "ORC503",
                    f"`{name}` is a `write` worker and retries without passing `task.key` on",
                    settings.spans["retry"],
                    help="pass it, so that the other side can tell a repetition: "
                    '`headers = { "Idempotency-Key": task.key }`',
                )
            )

    # ------------------------------------------------------------ verifiers

    def verifier(
        self, entity: Entity, node: ast.VerifierDecl, signature: Signature
    ) -> model.Verifier:
        """Read a verifier."""
        owner = f"verifier `{node.name.text}`"
        self._enter(node)
        kind = self._kind("verifier", node.kind)
        self._shadowed("verifier", node.params)
        settings = Settings(_UNKNOWN, node.name.span)
        values: dict[str, Any] = {}
        facts = model.Facts()
        assertions: tuple[model.Assertion, ...] = ()
        body = None if kind is None else kind.body("verifier")
        if kind is not None and body is not None:
            modes = BUILTIN_MODES | kind.modes
            settings = self._bodies.read(node.body, body, owner, node.name.span, modes)
            self._texts.used.clear()
            values = self.values(settings, signature)
            facts = self._by_kind(
                kind, self._declared(node, owner, settings, signature, False), values
            )
            assertions = self.assertions(settings, signature.names)
        pass_when = values.pop("pass_when", None)
        skip_when = values.pop("skip_when", None)
        return model.Verifier(
            name=entity.canonical,
            kind=node.kind.text,
            inputs=Contract.of_fields(signature.inputs, entity.canonical, node.doc),
            settings=values,
            base_dir=self._base_dir,
            span=node.name.span,
            doc=node.doc,
            assertions=assertions,
            pass_when=pass_when if isinstance(pass_when, Expression) else None,
            skip_when=skip_when if isinstance(skip_when, Expression) else None,
            timeout_ms=settings.find("timeout"),
            on_timeout=settings.find("on_timeout"),
            retry=read_retry(settings),
            repair_max=read_repair(settings),
            facts=facts,
        )

    def assertions(
        self, settings: Settings, names: Mapping[str, Type]
    ) -> tuple[model.Assertion, ...]:
        """Check and make the assertions of a body."""
        made = []
        for node in settings.assertions:
            test = self._texts.expression(node.test, names)
            message: Template | Expression | None = None
            if isinstance(node.message, ast.String):
                message = self._texts.template("message", node.message, names)
            elif node.message is not None:
                message = self._texts.expression(node.message, names)
            made.append(model.Assertion(test, message, node.span))
        return tuple(made)

    # ------------------------------------------------------------ orchestrators

    def _escalated(self, settings: Settings, signature: Signature, owner: str) -> Expression | None:
        """`on_escalate { output = ... }`, whose value must be able to fit the output."""
        expr = settings.exprs.get("output")
        if expr is None:
            return None
        names = {**signature.names, "run": RUN_ESCALATED}
        made, type_ = self._texts.typed_expression(expr, names)
        wanted = Contract(signature.output)
        wrong = list(wrong_constants(expr, wanted.schema))
        for problem, span in wrong:
            self._report(
                diagnostic("ORC202", f"this does not fit the output of {owner}: {problem}", span)
            )
        if not wrong and not may_fit(Contract(type_).schema, wanted.schema):
            self._report(
                diagnostic(
                    "ORC202",
                    f"`output` is `{type_}`, but the output of {owner} is `{signature.output}`",
                    expr.span,
                    help="an escalated run returns a value of the same type as any other",
                )
            )
        return made

    def orchestrator(
        self,
        entity: Entity,
        node: ast.OrchestratorDecl,
        signature: Signature,
        inside: Callable[[tuple[Entity, ...]], tuple[Entity, ...]],
        signatures: Mapping[Entity, Signature],
    ) -> model.Orchestrator:
        """Read an orchestrator; the workers of all modules must have been read.

        Args:
            inside: Callables, with all that plans among them call: hooks and limits hold for these.
            signatures: Those of every callable.
        """
        owner = f"orchestrator `{node.name.text}`"
        self._enter(node)
        self._shadowed("orchestrator", node.params)
        fails = self._fails(node.fails)
        settings = self._bodies.read(
            node.body, KINDS["orchestrator"], owner, node.name.span, frozenset(fails)
        )
        values = self.values(settings, signature)
        workers: tuple[Entity, ...] = settings.get("workers") or ()
        # With a name missing it is not known what is missing in the list.
        known = () if "workers" in settings.partial else inside(workers)
        goal = values.get("goal")
        instructions = values.get("instructions")
        escalate = settings.block("on_escalate")
        output = None
        if escalate is not None:
            output = self._escalated(escalate, signature, owner)
        return model.Orchestrator(
            name=entity.canonical,
            inputs=Contract.of_fields(signature.inputs, entity.canonical, node.doc),
            output=Contract(signature.output),
            fails=fails,
            model=values.get("model", ""),
            goal=goal if isinstance(goal, Template) else Template(""),
            workers=tuple(worker.canonical for worker in workers),
            policy=read_policy(settings.block("policy")),
            span=node.name.span,
            base_dir=self._base_dir,
            doc=node.doc,
            instructions=instructions if isinstance(instructions, Template) else None,
            limits=read_limits(settings.blocks.get("limit", []), known, self._report),
            hooks=read_hooks(
                settings.block("verify"),
                known,
                self._effects,
                partial(self._hook_test, signature, signatures),
                self._report,
            ),
            on_escalate=output if isinstance(output, Expression) else None,
            max_bytes=settings.get("max_bytes"),
        )

    def _hook_test(
        self,
        own: Signature,
        signatures: Mapping[Entity, Signature],
        expr: ast.Expr,
        point: model.HookPoint,
        entity: Entity | None,
    ) -> Expression:
        """The expression of `when`, with the names that the hook offers."""
        target = None if entity is None else signatures.get(entity)
        names = hook_names(
            point,
            result=own.output,
            inputs=() if target is None else target.inputs,
            output=ANY if target is None else target.output,
        )
        return self._texts.expression(expr, names)


def _is_planned(value: object) -> bool:
    """Whether a setting is read with the steps of its plan (`engine.sema.declarations.plans`)."""
    return isinstance(value, Computed) and value.scope == "plan"


def _plain(value: Any) -> Any:
    """A folded value as the model keeps it: entities by their canonical names."""
    if isinstance(value, Entity):
        return value.canonical
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value


def reads_task_key(expr: ast.Expr) -> bool:
    """Whether `task.key` is anywhere in an expression."""
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.object, ast.Variable)
        and node.object.name == "task"
        for node in walk(expr)
    )


def _all_of(kind: WorkerKind) -> Callable[[Declared], list[Diagnostic]]:
    """The check of a kind, run to its end: a generator raises while it is read."""

    def check(it: Declared) -> list[Diagnostic]:
        found = list(kind.check(it))
        for item in found:
            if not isinstance(item, Diagnostic):
                raise TypeError(f"it gave a {type(item).__name__}, not a Diagnostic")
        return found

    return check
