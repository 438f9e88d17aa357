"""Workers, verifiers and orchestrators of one module: from declarations to the model.

Each declaration is read by the table of settings, its texts and expressions are checked with the
names they see, and the result is a record of `engine.sema.model`. A declaration with a fault still
gives a record, as far as it goes, so that one fault does not hide or cause others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.errors import BUILTIN_MODES, MODEL_MODES
from engine.sema import model
from engine.sema.bodies import BodyReader, Settings
from engine.sema.contract import Contract
from engine.sema.httpcalls import check_http, written_hosts
from engine.sema.jsonschema import may_fit
from engine.sema.mcpcalls import Snapshots, check_tool
from engine.sema.policy import read_hooks, read_limits, read_policy, read_repair, read_retry
from engine.sema.pythoncalls import check_call
from engine.sema.run_types import RUN_ESCALATED
from engine.sema.scope import Entity, Scope
from engine.sema.setting_values import Computed, Text
from engine.sema.settings import CALLABLE_KINDS, KINDS, Kind
from engine.sema.suggest import closest, names_list
from engine.sema.templates import Expression, Template
from engine.sema.texts import Texts
from engine.sema.types import ANY, BOOL, FLOAT, INT, STRING, Field, Record, Type
from engine.sema.written_values import wrong_constants
from engine.syntax import ast

__all__ = ["CallableReader", "Signature"]

#: Names that expressions see besides the inputs; an input of that name would hide one.
_RESERVED = {
    "worker": ("param", "secret", "task", "response", "loop"),
    "verifier": ("param", "secret", "ok", "feedback", "score", "loop"),
    "orchestrator": ("param", "secret", "goal", "run", "loop"),
}
_TASK = Record("task", (Field("key", STRING),))
_VERDICT: Mapping[str, Type] = {"ok": BOOL, "feedback": STRING, "score": FLOAT}
#: Findings after which nobody knows whether a prompt uses an input.
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


class CallableReader:
    """Reads the callables of one module.

    Args:
        scope: The module's names.
        bodies: Reads bodies by the table.
        texts: Checks texts and expressions.
        effects: The effect of every worker of the program by canonical name; filled by
            `worker`, read by `orchestrator`, so workers of all modules are read first.
        snapshots: The kept tools of MCP servers.
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
        self._shadowed("worker", node.params)
        settings: Settings | None = None
        values: dict[str, Any] = {}
        if kind is not None:
            modes = frozenset(fails) | BUILTIN_MODES
            if node.kind.text == "llm":
                modes |= MODEL_MODES
            settings = self._bodies.read(node.body, kind, owner, node.name.span, modes)
            self._texts.used.clear()
            values = self.values(settings, signature)
            if node.kind.text == "llm" and "prompt" in values:
                self._unused_inputs(node, before)
            if node.kind.text == "http":
                values["hosts"] = written_hosts(settings, self._texts.values)
            self._check_worker(node, settings, signature, owner)
            if not any(i.severity == "error" for i in self._scope.diagnostics[before:]):
                self._check_repetition(settings, node)
        settings = settings or Settings(KINDS["llm worker"], node.name.span)
        effect = settings.get("effect", "read")
        self._effects[entity.canonical] = effect
        retry = read_retry(settings)
        return model.Worker(
            name=entity.canonical,
            kind=node.kind.text,
            inputs=Contract.of_fields(signature.inputs, entity.canonical, node.doc),
            output=Contract(signature.output),
            fails=fails,
            effect=effect,
            trust=settings.get("trust") or _default(settings.kind, "trust"),
            settings=values,
            base_dir=self._base_dir,
            span=node.name.span,
            doc=node.doc,
            timeout_ms=settings.get("timeout"),
            retry=retry,
            repair_max=read_repair(settings, 0),
            fallback=tuple(e.canonical for e in settings.get("fallback", ())),
        )

    def _kind(self, declared: str, kind: ast.Name) -> Kind | None:
        names = CALLABLE_KINDS[declared]
        if kind.text in names:
            return KINDS[f"{kind.text} {declared}"]
        near = closest(kind.text, names)
        self._report(
            diagnostic(
                "ORC101",
                f"there are no `{kind.text}` {declared}s",
                kind.span,
                help=(f"did you mean `{near}`? " if near else "")
                + f"after `via` stands one of {names_list(names)}",
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
        values: dict[str, Any] = {}
        for row in settings.kind.rows:
            if row.name in settings.values:
                values[row.name] = _plain(settings.values[row.name])
            elif row.name in settings.exprs:
                made = self._text(row.name, row.value, settings.exprs[row.name], signature)
                if made is not None:
                    values[row.name] = made
            elif row.name in ("on_status", "on_exit"):
                block = settings.block(row.name)
                if block is not None:
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
                        help='`*` stands at the end of a name alone: `"GIT_*"`',
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

    # ------------------------------------------------------------ rules of the kinds

    def _unused_inputs(self, node: ast.WorkerDecl, before: int) -> None:
        """ORC307; a misspelt name is not an unused one, so it keeps quiet beside an ORC303.

        Args:
            before: How many findings there were before this worker was read.
        """
        found = self._scope.diagnostics[before:]
        if any(item.code in _NOT_ALL_READ for item in found):
            return
        for param in node.params:
            if param.name.text not in self._texts.used:
                self._report(
                    diagnostic(
                        "ORC307",
                        f"input `{param.name.text}` is never used in the prompt",
                        param.name.span,
                        help=f"write `{{{{ {param.name.text} }}}}` in the prompt, or remove it",
                    )
                )

    def _check_worker(
        self, node: ast.WorkerDecl, settings: Settings, signature: Signature, owner: str
    ) -> None:
        kind = node.kind.text
        if kind == "python":
            self._check_python(settings, signature, owner)
        elif kind == "command":
            self._check_parse(settings)
        elif kind == "http":
            for item in check_http(settings, node.name.span, owner):
                self._report(item)
        elif kind == "mcp":
            names = {**self._texts.types, "task": _TASK, **signature.names}
            for item in check_tool(node, settings, signature.inputs, names, self._snapshots):
                self._report(item)

    def _check_python(self, settings: Settings, signature: Signature, owner: str) -> None:
        if "env" in settings.written and not settings.get("isolate"):
            self._report(
                diagnostic(
                    "ORC104",
                    f"{owner} has an `env` of its own, which needs `isolate = true`",
                    settings.spans.get("env", settings.span),
                    help="without it the function runs in the engine's process, and sees what "
                    "that sees",
                )
            )
        call = settings.get("call")
        if call is None:
            return
        given = [field.name for field in signature.inputs]
        args = settings.exprs.get("args")
        if isinstance(args, ast.MapExpr):
            given = [entry.key.text for entry in args.entries]
        for item in check_call(
            call,
            self._base_dir,
            settings.spans["call"],
            inputs=given,
            owner=owner,
        ):
            self._report(item)

    def _check_parse(self, settings: Settings) -> None:
        parse = settings.get("parse", "json")
        if ":" in parse:
            for item in check_call(parse, self._base_dir, settings.spans["parse"]):
                self._report(item)

    def _check_repetition(self, settings: Settings, node: ast.WorkerDecl) -> None:
        effect = settings.get("effect", "read")
        if effect not in ("write", "once"):
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
        settings = Settings(KINDS["rules verifier"], node.name.span)
        values: dict[str, Any] = {}
        assertions: tuple[model.Assertion, ...] = ()
        if kind is not None:
            modes = BUILTIN_MODES | (MODEL_MODES if node.kind.text == "llm" else frozenset())
            settings = self._bodies.read(node.body, kind, owner, node.name.span, modes)
            values = self.values(settings, signature)
            if node.kind.text == "python":
                self._check_python(settings, signature, owner)
            elif node.kind.text == "command":
                self._check_parse(settings)
            elif node.kind.text == "rules":
                self._check_rules(node, settings)
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
            timeout_ms=settings.get("timeout"),
            on_timeout=settings.get("on_timeout", "abort"),
            retry=read_retry(settings),
            repair_max=read_repair(settings, 0),
        )

    def _check_rules(self, node: ast.VerifierDecl, settings: Settings) -> None:
        if not settings.assertions and not self._scope.module.syntax_errors:
            self._report(
                diagnostic(
                    "ORC104",
                    f"verifier `{node.name.text}` needs at least one `assert`",
                    node.name.span,
                    help='write `assert EXPRESSION else "what is wrong"`',
                )
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
                    help="an escalated run gives back a value of the same type as any other",
                )
            )
        return made

    def orchestrator(
        self, entity: Entity, node: ast.OrchestratorDecl, signature: Signature
    ) -> model.Orchestrator:
        """Read an orchestrator; the workers of all modules must have been read."""
        owner = f"orchestrator `{node.name.text}`"
        self._enter(node)
        self._shadowed("orchestrator", node.params)
        fails = self._fails(node.fails)
        settings = self._bodies.read(
            node.body, KINDS["orchestrator"], owner, node.name.span, frozenset(fails)
        )
        values = self.values(settings, signature)
        workers: tuple[Entity, ...] = settings.get("workers", ())
        # With a name missing nobody can say what is not in the list.
        known = () if "workers" in settings.partial else workers
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
            hooks=read_hooks(settings.block("verify"), known, self._effects, self._report),
            on_escalate=output if isinstance(output, Expression) else None,
        )


def _default(kind: Kind, setting: str) -> Any:
    """What a setting is in a kind of body where nobody writes it."""
    row = kind.row(setting)
    return None if row is None else row.default


def _plain(value: Any) -> Any:
    """A folded value as the model keeps it: entities by their canonical names."""
    if isinstance(value, Entity):
        return value.canonical
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value


def reads_task_key(expr: ast.Expr) -> bool:
    """Whether `task.key` stands anywhere in an expression."""
    todo: list[Any] = [expr]
    while todo:
        node = todo.pop()
        if isinstance(node, tuple):
            todo.extend(node)
        elif isinstance(node, ast.Attribute):
            if isinstance(node.object, ast.Variable) and node.object.name == "task":
                return True
            todo.append(node.object)
        elif isinstance(node, ast.Node):
            todo.extend(getattr(node, name) for name in node.__struct_fields__ if name != "span")
    return False
