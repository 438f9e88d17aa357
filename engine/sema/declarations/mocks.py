"""`test` declarations: resolved as far as names, modes and constants go.

What a mock returns is checked against the contract of what it replaces, also where it comes
from a file. The expressions of the assertions see `run` and `output`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.diagnostics import diagnostic
from engine.errors import BUILTIN_MODES, MODEL_MODES
from engine.sema.declarations.callables import CallableReader, Signature
from engine.sema.model import Mock, Param, Test, TestBody
from engine.sema.names.scope import Entity, Scope
from engine.sema.settings.bodies import BodyReader, Settings
from engine.sema.settings.constants import FileText, unwrapped
from engine.sema.settings.params import ROOT, given_value, unknown_params
from engine.sema.settings.table import KINDS
from engine.sema.suggest import names_list
from engine.sema.templates.run_types import RUN_REPORTED
from engine.sema.types.contract import VERDICT, Contract
from engine.sema.types.definitions import ANY, Record, Type
from engine.syntax import ast

__all__ = ["mocked_value", "mocked_verdict", "read_test"]

#: Marks a value with a file in it that could not be read.
_UNREADABLE = object()
#: How deep the JSON of a file may be nested; what a worker returns may not be deeper either.
_MAX_DEPTH = 128


def read_test(
    scope: Scope,
    node: ast.TestDecl,
    bodies: BodyReader,
    callables: CallableReader,
    signatures: Mapping[Entity, Signature],
    params: Mapping[str, Param],
) -> Test | None:
    """Read one test; None if what it is for is not known (reported)."""
    if scope.observer is not None:
        scope.observer.enter(node)
    target = scope.lookup(
        node.target.text, ("orchestrator", "worker", "verifier"), node.target.span, "`test`"
    )
    modes = BUILTIN_MODES | _declared_modes(node, scope)
    settings = bodies.read(
        node.body, KINDS["test"], f"test {node.title.span.text}", node.title.span, modes
    )
    signature = signatures.get(target) if target is not None else None
    names = {
        "run": ANY if target is None or target.kind != "orchestrator" else RUN_REPORTED,
        "output": _output(target, signature),
        "input": ANY if signature is None else Record("input", signature.inputs),
    }
    assertions = callables.assertions(settings, names)
    mocks = []
    for block in settings.blocks.get("mock", ()):
        inner = block.settings
        ways = [name for name in ("returns", "fails", "script") if name in inner.written]
        if len(ways) != 1:
            scope.diagnostics.append(
                diagnostic(
                    "ORC104" if not ways else "ORC202",
                    "a mock needs one of `returns`, `fails`, `script`"
                    if not ways
                    else f"a mock does one thing; here are `{'` and `'.join(ways)}`",
                    inner.span,
                )
            )
        label = block.label
        if isinstance(label, Entity):
            if "returns" in inner.values:
                _check_output(scope, inner, label, signatures)
            if "fails" in inner.values:
                _check_mode(scope, inner, label)
        mocks.append(
            Mock(
                target=label.canonical if isinstance(label, Entity) else label,
                returns=unwrapped(inner.get("returns")),
                fails=inner.get("fails"),
                script=unwrapped(inner.get("script")),
                times=inner.get("times"),
                span=block.span,
            )
        )
    if target is None:
        return None
    if signature is not None and "input" in settings.values:
        _check_input(scope, settings, target, signature)
    if "params" in settings.values:
        _check_params(scope, settings, params)
    body = TestBody(
        unwrapped(settings.values.get("input", {})),
        unwrapped(settings.values.get("params", {})),
        tuple(mocks),
        assertions,
        scope.module.base_dir,
    )
    return Test(node.title.value, target.canonical, body, node.title.span)


def _check_output(
    scope: Scope, mock: Settings, target: Entity, signatures: Mapping[Entity, Signature]
) -> None:
    """ORC903: what a mock returns is not what the callable promises."""
    if target.kind == "model" or target not in signatures:
        return
    contract = VERDICT if target.kind == "verifier" else Contract(signatures[target].output)
    try:
        value = mocked_value(unwrapped(mock.values["returns"]))
    except ValueError as error:
        scope.diagnostics.append(diagnostic("ORC903", str(error), mock.spans["returns"]))
        return
    if value is _UNREADABLE:
        return
    wrong = contract.problems(mocked_verdict(value) if contract is VERDICT else value)
    if wrong:
        scope.diagnostics.append(
            diagnostic(
                "ORC903",
                f"the mock of `{target.name}` does not fit its contract: "
                f"{wrong[0].removeprefix(ROOT)}",
                mock.spans["returns"],
            )
        )


def _output(target: Entity | None, signature: Signature | None) -> Type:
    if target is None or signature is None:
        return ANY
    return VERDICT.type if target.kind == "verifier" else signature.output


def _check_params(scope: Scope, settings: Settings, known: Mapping[str, Param]) -> None:
    """ORC903 too: params that are not there, and values they cannot have."""
    try:
        given = mocked_value(unwrapped(settings.values["params"]))
    except ValueError as error:
        scope.diagnostics.append(diagnostic("ORC903", str(error), settings.spans["params"]))
        return
    if not isinstance(given, dict):
        return
    wrong = unknown_params({n: v for n, v in given.items() if not scope.excused(n)}, known)
    for name in given.keys() & known.keys():
        given_value(name, known[name].contract, given, {}, wrong)
    for problem in sorted(wrong):
        scope.diagnostics.append(diagnostic("ORC903", problem, settings.spans["params"]))


def _check_input(scope: Scope, settings: Settings, target: Entity, signature: Signature) -> None:
    """ORC903 too: what a test gives is not what its target takes."""
    if target.module.has_fault(target.name_span.start):
        return  # its inputs may be others than those that were read
    try:
        value = mocked_value(unwrapped(settings.values["input"]))
    except ValueError as error:
        scope.diagnostics.append(diagnostic("ORC903", str(error), settings.spans["input"]))
        return
    if value is _UNREADABLE:
        return
    wrong = Contract.of_fields(signature.inputs, target.canonical).problems(value)
    if wrong:
        scope.diagnostics.append(
            diagnostic(
                "ORC903",
                f"the input does not fit `{target.name}`: {wrong[0].removeprefix(ROOT)}",
                settings.spans["input"],
            )
        )


def mocked_value(value: Any) -> Any:
    """A constant of a test with `file("...")` replaced: JSON of a `.json` file, else its text.

    Raises:
        ValueError: A file is not JSON; the message says which and where.
    """
    found = _with_files(value)
    return _UNREADABLE if _lacks(found) else found


def mocked_verdict(value: Any) -> Any:
    """What a mock of a verifier gives: `true` and `false` are verdicts without feedback."""
    return {"ok": value} if isinstance(value, bool) else value


def _with_files(value: Any) -> Any:
    if isinstance(value, FileText):
        if value.text is None:
            return _UNREADABLE
        if not value.endswith(".json"):
            return value.text
        try:
            return _within_depth(json.loads(value.text))
        except RecursionError:
            raise ValueError(f"`{value}` is nested more than {_MAX_DEPTH} deep") from None
        except ValueError as error:
            raise ValueError(f"`{value}` is not JSON: {error}") from None
    if isinstance(value, list):
        return [_with_files(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_files(item) for key, item in value.items()}
    return value


def _within_depth(value: Any) -> Any:
    """The value, if it is nested no deeper than a value of a run may be; else RecursionError."""
    level = [value]
    for _ in range(_MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise RecursionError


def _lacks(value: Any) -> bool:
    """Whether a file in it could not be read, which has been reported where it is named."""
    if isinstance(value, list):
        return any(map(_lacks, value))
    if isinstance(value, dict):
        return any(map(_lacks, value.values()))
    return value is _UNREADABLE


def _check_mode(scope: Scope, mock: Settings, target: Entity) -> None:
    """ORC903 too: the target of a mock cannot fail like that."""
    declaration = target.declaration
    mode = mock.values["fails"]
    declared = (
        [name.text for name in declaration.fails]
        if isinstance(declaration, (ast.WorkerDecl, ast.OrchestratorDecl))
        else []
    )
    known = MODEL_MODES if target.kind == "model" else BUILTIN_MODES.union(declared)
    if mode not in known:
        near = names_list(sorted(MODEL_MODES) if target.kind == "model" else declared)
        scope.diagnostics.append(
            diagnostic(
                "ORC903",
                f"`{target.name}` does not fail with `{mode}`",
                mock.spans["fails"],
                help=f"its failure modes are {near}" if near else "it declares no failure modes",
            )
        )


def _declared_modes(node: ast.TestDecl, scope: Scope) -> frozenset[str]:
    """The failure modes of everything this test mocks."""
    found: set[str] = set()
    for member in node.body.members:
        if isinstance(member, ast.Block) and member.labels:
            entity = scope.names.get(member.labels[0].text)
            if entity is not None and entity.kind == "model":
                found |= MODEL_MODES
            elif entity is not None and isinstance(
                entity.declaration, (ast.WorkerDecl, ast.OrchestratorDecl)
            ):
                found.update(name.text for name in entity.declaration.fails)
    return frozenset(found)
