"""`test` declarations: resolved as far as names, modes and constants go.

What a mock returns is checked against the contract of what it stands for, also where it comes
from a file. The expressions of the assertions see `run` and `output`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from engine.diagnostics import diagnostic
from engine.errors import BUILTIN_MODES
from engine.sema.bodies import BodyReader, Settings
from engine.sema.callables import CallableReader, Signature
from engine.sema.constants import FileText, unwrapped
from engine.sema.contract import Contract
from engine.sema.model import Mock, Test, TestBody
from engine.sema.params import ROOT
from engine.sema.scope import Entity, Scope
from engine.sema.settings import KINDS
from engine.sema.types import ANY
from engine.syntax import ast

__all__ = ["read_test"]

#: What every verifier gives back.
_VERDICT = Contract.of_schema(
    {
        "title": "verdict",
        "type": "object",
        "properties": {
            "ok": {"type": "boolean"},
            "feedback": {"type": "string", "default": ""},
            "score": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        },
        "required": ["ok"],
        "additionalProperties": False,
    }
)


def read_test(
    scope: Scope,
    node: ast.TestDecl,
    bodies: BodyReader,
    callables: CallableReader,
    signatures: Mapping[Entity, Signature],
) -> Test | None:
    """Read one test; None if what it is for is not known (reported)."""
    target = scope.lookup(
        node.target.text, ("orchestrator", "worker", "verifier"), node.target.span, "`test`"
    )
    modes = BUILTIN_MODES | _declared_modes(node, scope)
    settings = bodies.read(
        node.body, KINDS["test"], f"test {node.title.span.text}", node.title.span, modes
    )
    signature = signatures.get(target) if target is not None else None
    names = {"run": ANY, "output": signature.output if signature is not None else ANY}
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
        if "returns" in inner.values and isinstance(label, Entity):
            _check_output(scope, inner, label, signatures)
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
    body = TestBody(
        unwrapped(settings.get("input", {})),
        unwrapped(settings.get("params", {})),
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
    contract = _VERDICT if target.kind == "verifier" else Contract(signatures[target].output)
    value = unwrapped(mock.values["returns"])
    if isinstance(value, FileText):
        if value.text is None:
            return
        try:
            value = json.loads(value.text)
        except ValueError as error:
            scope.diagnostics.append(
                diagnostic("ORC903", f"`{value}` is not JSON: {error}", mock.spans["returns"])
            )
            return
    elif holds_file(value):
        return
    wrong = contract.problems(value)
    if wrong:
        scope.diagnostics.append(
            diagnostic(
                "ORC903",
                f"the mock of `{target.name}` does not fit its contract: "
                f"{wrong[0].removeprefix(ROOT)}",
                mock.spans["returns"],
            )
        )


def _check_input(scope: Scope, settings: Settings, target: Entity, signature: Signature) -> None:
    """ORC903 too: what a test gives is not what its target takes."""
    value = unwrapped(settings.values["input"])
    if holds_file(value):
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


def holds_file(value: object) -> bool:
    """Whether `file(...)` stands anywhere in a constant."""
    if isinstance(value, list):
        return any(holds_file(item) for item in value)
    if isinstance(value, dict):
        return any(holds_file(item) for item in value.values())
    return isinstance(value, FileText)


def _declared_modes(node: ast.TestDecl, scope: Scope) -> frozenset[str]:
    """The failure modes of everything this test mocks."""
    found: set[str] = set()
    for member in node.body.members:
        if isinstance(member, ast.Block) and member.labels:
            entity = scope.names.get(member.labels[0].text)
            if entity is not None and isinstance(
                entity.declaration, (ast.WorkerDecl, ast.OrchestratorDecl)
            ):
                found.update(name.text for name in entity.declaration.fails)
    return frozenset(found)
