"""`via command`: a program does the work, started with a list of arguments and never by a shell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic
from engine.sema.expressions.address import chosen_by, parts_of
from engine.sema.expressions.compiler import Expression, free_names
from engine.sema.kinds.common import CHECKED, ENV, worker_settings
from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.kinds.python_calls import check_call
from engine.sema.kinds.sandboxes import SANDBOX, address_of, hosts_of, network_of, sandbox_of
from engine.sema.model import Facts
from engine.sema.settings.table import Row
from engine.sema.settings.values import BlockValue, Computed, Ints, Parse
from engine.syntax import ast

__all__ = ["COMMAND", "NETWORK_PROGRAMS", "program_of"]

_ROWS = (
    Row(
        "run",
        Computed(shape="list"),
        "The program and its arguments, a list; never a shell.",
        required=True,
    ),
    Row("stdin", Computed(), "The standard input of the program."),
    Row(
        "cwd",
        Computed(),
        "Its working directory, relative to the folder of the file.",
        otherwise="the file's folder",
    ),
    ENV,
    SANDBOX,
    Row("ok_exit", Ints(), "The exit codes that mean success.", default=(0,)),
    Row("on_exit", BlockValue("on_exit"), "Maps exit codes to failure modes."),
    Row(
        "parse",
        Parse(),
        "How to read its output: `json`, `lines`, `text` or a function.",
        default="json",
    ),
)

#: Programs that reach the network with what they are given.
NETWORK_PROGRAMS = frozenset(
    (
        "aria2c", "curl", "ftp", "gh", "glab", "http", "https", "lynx", "nc", "ncat", "netcat",
        "rsync", "scp", "sftp", "socat", "ssh", "telnet", "w3m", "wget", "xh",
    )
)  # fmt: skip

#: What `parse` may be besides a function.
_PARSERS = frozenset(("json", "lines", "text"))


def program_of(run: ast.ListExpr) -> str:
    """The name of the program that an argument list runs; "" where it is computed."""
    first = run.items[0] if run.items else None
    if not isinstance(first, ast.String):
        return ""
    return re.sub(r"\.exe$", "", os.path.basename(first.value))


def _address(run: ast.ListExpr) -> tuple[str, ...]:
    """The names in the arguments of a program of the network.

    Any argument may be an address or an option, unless the file writes how an address begins.
    """
    names: set[str] = set()
    for item in run.items[1:]:
        first = next(parts_of(item))
        is_address = isinstance(first, ast.String) and "://" in first.value
        names |= chosen_by(item) if is_address else free_names(item)
    return tuple(sorted(names))


def _check(it: Declared) -> Iterator[Diagnostic]:
    """The function that reads the output exists."""
    parse = it.settings.get("parse")
    if ":" in parse and it.with_python:
        span = it.settings.spans["parse"]
        yield from check_call(parse, it.base_dir, span, project=it.project)


def _derived(it: Declared) -> Mapping[str, Any]:
    return {"sandbox": sandbox_of(it)}


def _facts(settings: Mapping[str, Any]) -> Facts:
    run = settings.get("run")
    expr = run.expr if isinstance(run, Expression) else None
    network = network_of(settings)
    arguments = expr if isinstance(expr, ast.ListExpr) else None
    if arguments is not None and program_of(arguments) not in NETWORK_PROGRAMS:
        arguments = None
    address = address_of(settings)
    if network == "unknown" and arguments is not None:
        address = _address(arguments)
    return Facts(
        waits_outside=True,
        sends_out=network in ("hosts", "any") or (arguments is not None and network != "none"),
        talks_to=hosts_of(settings),
        network=network,
        address=address,
        runs_user_code=settings.get("parse") not in _PARSERS,
    )


COMMAND = WorkerKind(
    name="command",
    summary="run by a program: an argument list, never a shell",
    worker=(*_ROWS, *worker_settings(effect=None)),
    verifier=(*_ROWS, *CHECKED),
    check=_check,
    facts=_facts,
    derived=_derived,
    port="engine.workers.command:open_port",
    calls="run",
)
