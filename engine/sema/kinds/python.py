"""`via python`: a Python function does the work, here or in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.sema.kinds.common import CHECKED, ENV, worker_settings
from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.kinds.python_calls import check_call
from engine.sema.kinds.sandboxes import SANDBOX, address_of, hosts_of, network_of, sandbox_of
from engine.sema.model import Facts
from engine.sema.settings.table import Row
from engine.sema.settings.values import Bool, CallPath, Computed
from engine.syntax import ast

__all__ = ["PYTHON"]

_ROWS = (
    Row("call", CallPath(), 'The function, as `"package.module:function"`.', required=True),
    Row("args", Computed(shape="map"), "Its keyword arguments.", otherwise="the inputs"),
    Row("isolate", Bool(), "Run it in a separate process.", default=False),
    ENV,
    SANDBOX,
)


def _check(it: Declared) -> Iterator[Diagnostic]:
    """The function exists, takes what it is given, and has the environment that it is promised."""
    if "env" in it.settings.written and not _is_apart(it):
        yield diagnostic(
            "ORC104",
            f"{it.owner} has an `env` of its own, which needs `isolate = true`",
            it.settings.spans.get("env", it.at),
            help="without it the function runs in the engine's process, and sees what that sees",
        )
    call = it.settings.get("call")
    if call is None or not it.with_python:
        return
    given = [field.name for field in it.inputs]
    args = it.settings.exprs.get("args")
    if isinstance(args, ast.MapExpr):
        given = [entry.key.text for entry in args.entries]
    span = it.settings.spans["call"]
    yield from check_call(call, it.base_dir, span, project=it.project, inputs=given, owner=it.owner)


def _is_apart(it: Declared) -> bool:
    """Whether the function has a process of its own: a sandbox that is written brings one."""
    return bool(it.settings.get("isolate")) or it.settings.block("sandbox") is not None


def _derived(it: Declared) -> Mapping[str, Any]:
    is_apart = _is_apart(it)
    return {"isolate": is_apart, "sandbox": sandbox_of(it, inside=not is_apart)}


def _facts(settings: Mapping[str, Any]) -> Facts:
    network = network_of(settings)
    return Facts(
        sends_out=network in ("hosts", "any"),
        talks_to=hosts_of(settings),
        network=network,
        address=address_of(settings),
        runs_user_code=not settings.get("isolate"),
    )


PYTHON = WorkerKind(
    name="python",
    summary="run by a Python function",
    worker=(*_ROWS, *worker_settings()),
    verifier=(*_ROWS, *CHECKED),
    check=_check,
    facts=_facts,
    derived=_derived,
    inputs_are_arguments=True,
    port="engine.workers.python:open_port",
    calls="call",
)
