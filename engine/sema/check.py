"""`check_file`: turns a path into a `Program`, or into a list of everything that is wrong.

The order: read the modules, declare names, resolve types and params, read bodies, check the whole
program. Each step adds to one list and continues with what it has, so one pass finds everything. A
program with an error is never returned (`CheckResult.program` is None); only the linter gets it
(`CheckResult.partial`).
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic, sort_diagnostics
from engine.errors import MODEL_MODES, InputError
from engine.sema.declarations.callables import CallableReader, Signature
from engine.sema.declarations.declare import Declarations
from engine.sema.declarations.mocks import read_test
from engine.sema.declarations.plans import PlanReader, ReadPlan, derive
from engine.sema.declarations.policy import read_retry
from engine.sema.flow import check_flow
from engine.sema.kinds import SERVER_KINDS
from engine.sema.kinds.mcp_calls import Snapshots
from engine.sema.kinds.python_calls import check_call
from engine.sema.model import Model, Price, Program, Server, Worker, reached
from engine.sema.names.cache import CheckCache
from engine.sema.names.loader import SYNTAX_FAULTS, LoadResult, Module, Reader, load_modules
from engine.sema.names.merge_misspellings import with_misspelt_declarations
from engine.sema.names.observer import Observer
from engine.sema.names.scope import KEYWORDS, Entity, Scope, Scopes, build_scopes
from engine.sema.names.suppression import Suppressions
from engine.sema.prompt_size import check_prompt_sizes
from engine.sema.provenance import check_provenance, misplaced_sources
from engine.sema.settings.bodies import BodyReader
from engine.sema.settings.constants import Folder, unwrapped
from engine.sema.settings.params import unknown_params
from engine.sema.settings.table import KINDS
from engine.sema.suggest import closest, names_list
from engine.sema.types.definitions import ANY
from engine.syntax import ast

__all__ = ["CheckResult", "check_file"]

#: Settings of a model that the engine itself understands; the rest go to the provider.
_FROM = re.compile(r"@\s*from\b")
_OWN_MODEL_SETTINGS = frozenset(
    {
        "id",
        "timeout",
        "max_tokens",
        "structured",
        "context",
        "max_prompt_bytes",
        "fallback",
        "max_concurrent",
        "rpm",
        "tpm",
        "extra",
    }
)


@dataclass(eq=False)
class CheckResult:
    """What checking a file gave.

    Attributes:
        program: The program, or None if anything is an error.
        diagnostics: Everything found, in order of file and position.
        modules: The files, imported ones first, the entry last.
        partial: The program as far as it could be read, for the linter.
        scopes: The names of each module, with how often each is used.
        suppressions: What comments allow; already left out of `diagnostics`.
        missing_params: Params without default to which no value was given; a run needs them.
    """

    program: Program | None
    diagnostics: list[Diagnostic]
    modules: list[Module]
    partial: Program
    scopes: Scopes
    suppressions: Suppressions
    missing_params: tuple[str, ...] = ()


def check_file(
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    reader: Reader | None = None,
    env: Mapping[str, str] | None = None,
    cache: CheckCache | None = None,
    observer: Observer | None = None,
) -> CheckResult:
    """Check a file with everything it imports.

    Args:
        path: The entry file, as the user named it.
        params: Values of params by name; texts are read as JSON where their type asks for it.
        reader: Where files come from; the disk by default.
        env: Where `ORCH_PARAM_*` is looked up; the process's environment by default.
        cache: What an earlier check of the program left, for an editor's sake.
        observer: Told what names mean, if given.

    Raises:
        UnreadableFile: If the entry file gives no text.
        InputError: If a given param is unknown or its value does not fit.
    """
    loaded = load_modules(path, reader, cache)
    found = loaded.diagnostics
    scopes = build_scopes(loaded, found, observer)
    for module in loaded.modules:
        _unknown_declarations(module, found)
    given = dict(params or {})
    declared = Declarations(scopes, loaded.files, given, os.environ if env is None else env, found)
    problems = [*unknown_params(given, declared.params), *declared.input_problems]
    if problems:
        raise InputError(problems, secrets=_secret_names(scopes))
    program = _Assembler(loaded, scopes, declared).program(path)
    for scope in scopes.all:
        scope.count_uses(declared.texts[scope.module.path].ever)
    doubted = _in_doubt(scopes, found)
    check_flow(program, found.append, doubted)
    check_provenance(program, found.append, doubted)
    with_from = [m.document for m in loaded.modules if _FROM.search(m.source.text)]
    found.extend(misplaced_sources(with_from, program))
    suppressions = Suppressions(loaded.modules)
    if not any(item.severity == "error" and not suppressions.allows(item) for item in found):
        check_prompt_sizes(program, scopes.all, found.append)
    diagnostics = [
        item for item in sort_diagnostics(_merged(found, scopes)) if not suppressions.allows(item)
    ]
    wrong = any(item.severity == "error" for item in diagnostics)
    return CheckResult(
        None if wrong else program,
        diagnostics,
        loaded.modules,
        program,
        scopes,
        suppressions,
        tuple(declared.missing_params),
    )


def _secret_names(scopes: Scopes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for scope in scopes.all for name in scope.secrets))


def _in_doubt(scopes: Scopes, found: list[Diagnostic]) -> set[str]:
    """The canonical names of what has an error in its own declaration."""
    doubted: set[str] = set()
    for scope in scopes.all:
        errors = sorted(
            item.span.start
            for item in found
            if item.severity == "error" and item.span.source is scope.module.source
        )
        for entity in scope.own("worker", "verifier", "orchestrator") if errors else ():
            span = entity.declaration.span if entity.declaration is not None else None
            if span is not None and bisect_left(errors, span.start) < bisect_left(errors, span.end):
                doubted.add(entity.canonical)
    return doubted


def _merged(found: list[Diagnostic], scopes: Scopes) -> list[Diagnostic]:
    """One finding for one unknown variable of a declaration, however often it is read."""
    result: list[Diagnostic] = []
    first: dict[tuple[int, int, str], int] = {}
    starts = {
        id(scope.module.source): [node.span.start for node in scope.module.document.declarations]
        for scope in scopes.all
    }
    newer = {id(item.span.source) for item in found if item.code == "ORC008"}
    modules = {id(scope.module.source): scope.module for scope in scopes.all}
    for item in _once_per_module(sort_diagnostics(with_misspelt_declarations(found, scopes))):
        source = id(item.span.source)
        if source in newer and item.code != "ORC008":
            # What looks wrong in a newer edition may be right there.
            continue
        if source in modules and _is_consequence(item, modules[source]):
            continue
        if item.code != "ORC303" or source not in starts:
            result.append(item)
            continue
        key = (source, bisect_right(starts[source], item.span.start), item.message)
        if key not in first:
            first[key] = len(result)
            result.append(item)
            continue
        earlier = result[first[key]]
        fix = earlier.fix
        if fix is not None and item.fix is not None:
            fix = msgspec.structs.replace(fix, edits=(*fix.edits, *item.fix.edits))
        related = (*earlier.related, Related("also here", item.span))
        result[first[key]] = msgspec.structs.replace(earlier, fix=fix, related=related)
    return result


def _once_per_module(found: list[Diagnostic]) -> Iterator[Diagnostic]:
    """Of the findings about one Python module (ORC516) only the first: many calls lead to it."""
    seen: set[tuple[str, str]] = set()
    for item in found:
        if item.code == "ORC516":
            # Such a module is next to the file, and the message names it.
            cause = (os.path.dirname(item.span.source.path), item.message)
            if cause in seen:
                continue
            seen.add(cause)
        yield item


#: What a syntax error in the same declaration may be the reason of.
_CONSEQUENCES = frozenset(
    ["ORC104", "ORC307", "ORC401", "ORC403", "ORC424", "ORC421", "ORC503", "ORC603", "ORC711"]
)


def _is_consequence(item: Diagnostic, module: Module) -> bool:
    """Whether a finding may only be there because the parser could not read what was meant."""
    if not module.faults or item.code in SYNTAX_FAULTS or item.code == "ORC907":
        return False
    if item.span.begin_position.line in module.fault_lines:
        return True
    return item.code in _CONSEQUENCES and module.has_fault(item.span.start)


def _unknown_declarations(module: Module, found: list[Diagnostic]) -> None:
    for node in module.document.declarations:
        if isinstance(node, ast.UnknownDecl):
            near = closest(node.keyword.text, [*KEYWORDS, "import", "from", "test", "orch"])
            if near == "orch":
                # The edition is there, misspelt: not missing as well.
                found[:] = [
                    item
                    for item in found
                    if item.code != "ORC007" or item.span.source is not module.source
                ]
            found.append(
                diagnostic(
                    "ORC006",
                    f"unknown declaration `{node.keyword.text}`",
                    node.keyword.span,
                    help=f"did you mean `{near}`?"
                    if near
                    else f"a file declares {names_list([*KEYWORDS, 'test'], 20)}",
                    fix=Fix(f"write `{near}`", (Edit(node.keyword.span, near),)) if near else None,
                )
            )


class _Assembler:
    """Reads the bodies of all modules into one `Program`."""

    def __init__(self, loaded: LoadResult, scopes: Scopes, declared: Declarations) -> None:
        self._loaded = loaded
        self._scopes = scopes
        self._declared = declared
        self._effects: dict[str, str] = {}
        self._snapshots = Snapshots(loaded.files, declared.report)
        self._bodies: dict[str, BodyReader] = {}
        self._callables: dict[str, CallableReader] = {}
        for scope in scopes.all:
            bodies = self._body_reader(scope)
            self._bodies[scope.module.path] = bodies
            self._callables[scope.module.path] = CallableReader(
                scope, bodies, declared.texts[scope.module.path], self._effects, self._snapshots
            )

    def _body_reader(self, scope: Scope) -> BodyReader:
        params = scope.params

        def used(name: str) -> None:
            params[name].uses += 1

        texts = self._declared.texts[scope.module.path]
        folder = Folder(
            {name: self._declared.param_values.get(e) for name, e in params.items()},
            scope.diagnostics.append,
            used,
            scope.excused,
            partial(scope.elsewhere, "param"),
            texts.comparison,
        )
        return BodyReader(scope, folder, texts.file_text)

    def program(self, path: str) -> Program:
        """Everything, with workers of all modules before any orchestrator."""
        models: dict[str, Model] = {}
        servers: dict[str, Server] = {}
        workers: dict[str, Worker] = {}
        verifiers = {}
        orchestrators = {}
        signatures: dict[Entity, Signature] = {}
        for scope in self._scopes.all:
            reader = self._callables[scope.module.path]
            for entity in scope.own("model"):
                models[entity.canonical] = self._model(scope, entity)
            for entity in scope.own("server"):
                servers[entity.canonical] = self._server(scope, entity)
            for entity in scope.own("worker", "verifier", "orchestrator"):
                node = entity.declaration
                assert isinstance(node, (ast.WorkerDecl, ast.VerifierDecl, ast.OrchestratorDecl))
                signature = self._declared.signature(scope, node)
                signatures[entity] = signature
                if isinstance(node, ast.WorkerDecl):
                    workers[entity.canonical] = reader.worker(entity, node, signature)
                elif isinstance(node, ast.VerifierDecl):
                    verifiers[entity.canonical] = reader.verifier(entity, node, signature)
        self._plans(workers, signatures)
        entities = {entity.canonical: entity for entity in signatures}

        def inside(given: tuple[Entity, ...]) -> tuple[Entity, ...]:
            names = reached(workers, [entity.canonical for entity in given])
            return tuple(entities[name] for name in names)

        for scope in self._scopes.all:
            reader = self._callables[scope.module.path]
            for entity in scope.own("orchestrator"):
                node = entity.declaration
                assert isinstance(node, ast.OrchestratorDecl)
                orchestrators[entity.canonical] = reader.orchestrator(
                    entity, node, signatures[entity], inside, signatures
                )
        tests = tuple(
            test
            for scope in self._scopes.all
            for node in scope.module.document.declarations
            if isinstance(node, ast.TestDecl)
            for test in [
                read_test(
                    scope,
                    node,
                    self._bodies[scope.module.path],
                    self._callables[scope.module.path],
                    signatures,
                    self._declared.params,
                )
            ]
            if test is not None and scope is self._scopes.entry
        )
        called = {name for item in orchestrators.values() for name in item.workers}
        called -= {n for n, item in orchestrators.items() if item.workers and n in item.workers}
        entries = [
            entity.canonical
            for entity in self._scopes.entry.names.values()
            if entity.kind == "orchestrator" and entity.canonical not in called
        ]
        files = self._loaded.files
        return Program(
            path=path,
            base_dir=files.base_dir,
            files=files.texts(),
            params=self._declared.params,
            schemas=self._declared.schemas,
            secrets=_secret_names(self._scopes),
            models=models,
            servers=servers,
            workers=workers,
            verifiers=verifiers,
            orchestrators=orchestrators,
            tests=tests,
            entry=entries[0] if len(entries) == 1 else None,
            missing_params=tuple(self._declared.missing_params),
        )

    def _plans(self, workers: dict[str, Worker], signatures: dict[Entity, Signature]) -> None:
        """Read the steps of all plans, and what follows from what they call."""
        plans: dict[str, ReadPlan] = {}
        for scope in self._scopes.all:
            path = scope.module.path
            reader = PlanReader(scope, self._declared.texts[path], signatures)
            for body in self._callables[path].plans:
                name, signature = body.entity.canonical, body.signature
                plans[name] = reader.read(
                    body.node, body.settings, signature.inputs, signature.output
                )
                workers[name] = msgspec.structs.replace(workers[name], plan=plans[name].plan)
        if plans:
            derive(plans, workers, self._declared.report)
            self._effects.update({name: workers[name].effect for name in plans})

    # ------------------------------------------------------------ models and servers

    def _model(self, scope: Scope, entity: Entity) -> Model:
        node = entity.declaration
        assert isinstance(node, ast.ModelDecl)
        modes = MODEL_MODES
        settings = self._bodies[scope.module.path].read(
            node.body, KINDS["model"], f"model `{entity.name}`", node.name.span, modes
        )
        price = settings.block("price")
        identifier = settings.get("id") or ""
        if identifier.startswith("python/") and self._loaded.files.with_python:
            for item in check_call(
                identifier.removeprefix("python/"),
                scope.module.base_dir,
                settings.spans["id"],
                project=self._loaded.files.project,
            ):
                scope.diagnostics.append(item)
        options = {
            name: value
            for name, value in settings.values.items()
            if name not in _OWN_MODEL_SETTINGS
        }
        extra = unwrapped(settings.get("extra"))
        if isinstance(extra, dict):
            options.update(extra)
        elif extra is not None:
            scope.diagnostics.append(
                diagnostic("ORC202", "`extra` needs a map", settings.spans["extra"])
            )
        return Model(
            name=entity.canonical,
            id=identifier,
            base_dir=scope.module.base_dir,
            span=node.name.span,
            doc=node.doc,
            fallback=tuple(e.canonical for e in settings.get("fallback") or ()),
            retry=read_retry(settings),
            timeout_ms=settings.get("timeout"),
            max_tokens=settings.get("max_tokens"),
            max_concurrent=settings.get("max_concurrent"),
            rpm=settings.get("rpm"),
            tpm=settings.get("tpm"),
            price=None
            if price is None
            else Price(
                price.get("input") or 0,
                price.get("output") or 0,
                price.get("cached_input"),
                price.get("cache_write"),
            ),
            structured=settings.get("structured"),
            context=settings.get("context"),
            max_prompt_bytes=settings.get("max_prompt_bytes"),
            options=options,
        )

    def _server(self, scope: Scope, entity: Entity) -> Server:
        node = entity.declaration
        assert isinstance(node, ast.ServerDecl)
        values: dict[str, Any] = {}
        if node.kind.text not in SERVER_KINDS:
            near = closest(node.kind.text, SERVER_KINDS)
            scope.diagnostics.append(
                diagnostic(
                    "ORC101",
                    f"there are no `{node.kind.text}` servers",
                    node.kind.span,
                    help=f"did you mean `{near}`?" if near else "write `via mcp`",
                )
            )
        else:
            owner = f"server `{entity.name}`"
            settings = self._bodies[scope.module.path].read(
                node.body, KINDS["mcp server"], owner, node.name.span
            )
            values = self._callables[scope.module.path].values(settings, Signature((), ANY))
            if settings.get("command") in ((), []):
                scope.diagnostics.append(
                    diagnostic(
                        "ORC202",
                        "`command` needs at least one item",
                        settings.spans["command"],
                        help="name the program to run",
                    )
                )
            ways = {"command", "url"} & settings.written
            if len(ways) != 1 and not scope.module.syntax_errors:
                scope.diagnostics.append(
                    diagnostic(
                        "ORC104" if not ways else "ORC202",
                        f"{owner} needs `command` or `url`"
                        if not ways
                        else f"{owner} has both `command` and `url`",
                        node.name.span,
                        help="`command` starts a program here, `url` reaches one over HTTP",
                    )
                )
        return Server(
            entity.canonical,
            node.kind.text,
            values,
            scope.module.base_dir,
            node.name.span,
            node.doc,
            self._snapshots.tools(entity),
        )
