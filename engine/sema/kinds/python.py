"""`via python`: a Python function does the work, here or in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.sema.kinds.common import CHECKED, ENV, worker_settings
from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.kinds.python_calls import check_call
from engine.sema.model import Facts
from engine.sema.settings.table import Row
from engine.sema.settings.values import Bool, CallPath, Computed
from engine.syntax import ast

__all__ = ["PYTHON"]

_ROWS = (
    Row("call", CallPath(), 'The function, as `"package.module:function"`.', required=True),
    Row("args", Computed(shape="map"), "Its keyword arguments.", otherwise="the inputs"),
    Row("isolate", Bool(), "Run it in a process of its own.", default=False),
    ENV,
)


def _check(it: Declared) -> Iterator[Diagnostic]:
    """The function exists, takes what it is given, and has the environment that it is promised."""
    if "env" in it.settings.written and not it.settings.get("isolate"):
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


def _facts(settings: Mapping[str, Any]) -> Facts:
    return Facts(runs_user_code=not settings.get("isolate"))


PYTHON = WorkerKind(
    name="python",
    summary="run by a Python function",
    worker=(*_ROWS, *worker_settings()),
    verifier=(*_ROWS, *CHECKED),
    check=_check,
    facts=_facts,
    inputs_are_arguments=True,
    port="engine.workers.python:open_port",
    calls="call",
)
