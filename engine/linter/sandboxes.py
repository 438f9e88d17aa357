"""ORC830 to ORC834: sandboxes that cannot be what their author means.

A sandbox is compared with what is written next to it. Found are hosts that are not valid, paths
that do not exist, and variables that hold keys. Programs may be known to need the network, and
functions may be declared to stay in the engine's process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import adding, block_of, setting_of
from engine.linter.subject import Subject
from engine.provider_keys import is_provider_key
from engine.sema.kinds.command import NETWORK_PROGRAMS, program_of
from engine.sema.model import Sandbox, Verifier, Worker
from engine.source import Span
from engine.syntax import ast

__all__ = [
    "sandbox_host",
    "sandbox_in_process",
    "sandbox_path",
    "sandbox_secret",
    "sandbox_without_network",
]

#: A name (with `*.` for all below it), an IPv4 address or an IPv6 one in brackets, and a port.
_HOST = re.compile(
    r"(?:\[[0-9a-fA-F:.]+\]|(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


SANDBOX_HOST = Rule(
    code="ORC830",
    name="sandbox-host",
    severity="error",
    summary="A host that a sandbox lists is not a host.",
    why=(
        "Hosts are compared with the names that a program asks for: a URL or a path would never "
        "be equal to one. `*.` means every name below one."
    ),
    bad="""\
worker fetch(id: int) -> json via command {
  run = ["fetch", id]  effect = read  timeout = 5s  trust = untrusted
  sandbox { network = ["https://api.example.org/v1"] }
}""",
    good="""\
worker fetch(id: int) -> json via command {
  run = ["fetch", id]  effect = read  timeout = 5s  trust = untrusted
  sandbox { network = ["api.example.org"] }
}""",
    allowable=False,
)


def sandbox_host(subject: Subject) -> Iterator[Diagnostic]:
    """ORC830: an item of `network` that is not the name of a host."""
    for _, _, block in (each for file in subject.files for each in _written(file)):
        for host, span in _items(block, "network"):
            match = _HOST.fullmatch(host)
            if match and int(match["port"] or 1) in range(1, 65_536):
                continue
            name = re.split(r"[/?#]", _SCHEME.sub("", host))[0].rpartition("@")[2]
            fix = None
            if name != host and _HOST.fullmatch(name):
                fix = Fix(f'write `"{name}"`', (Edit(span, f'"{name}"'),), "unsafe")
            yield diagnostic(
                "ORC830",
                f'"{host}" is not a host',
                span,
                help='write `"api.example.org"`, `"*.example.org"` or `"api.example.org:8443"`',
                fix=fix,
            )


SANDBOX_PATH = Rule(
    code="ORC831",
    name="sandbox-path",
    severity="warning",
    summary="A path that a sandbox shows does not exist.",
    why="Paths are relative to the folder of the file. What is not there cannot be shown.",
    bad="""\
worker count(name: string) -> int via command {
  run = ["wc", "-l", name]  effect = read  timeout = 5s
  sandbox { read = ["no_such_folder"] }
}""",
    good="""\
worker count(name: string) -> int via command {
  run = ["wc", "-l", name]  effect = read  timeout = 5s
  sandbox { read = ["."] }
}""",
    allowable=True,
)


def sandbox_path(subject: Subject) -> Iterator[Diagnostic]:
    """ORC831: an item of `read` or `write` that leads nowhere."""
    for owner, _, block in _written(subject):
        for setting in ("read", "write"):
            for path, span in _items(block, setting):
                if not os.path.exists(os.path.join(owner.base_dir, os.path.expanduser(path))):
                    yield diagnostic(
                        "ORC831",
                        f'"{path}" does not exist',
                        span,
                        help="a path is relative to the folder of this file; a run cannot start "
                        "the program if what it may change is missing"
                        if setting == "write"
                        else "a path is relative to the folder of this file",
                    )


SANDBOX_WITHOUT_NETWORK = Rule(
    code="ORC832",
    name="sandbox-without-network",
    severity="warning",
    summary="A program that needs the network has none.",
    why=(
        "A sandbox without `network` has none, and so has an untrusted command that says nothing. "
        "The call fails as if the machine were offline."
    ),
    bad="""\
worker fetch(id: int) -> string via command {
  run = ["curl", "-s", "https://api.example.org/" ~ id]
  effect = read  timeout = 5s  trust = untrusted  parse = text
}""",
    good="""\
worker fetch(id: int) -> string via command {
  run = ["curl", "-s", "https://api.example.org/" ~ id]
  effect = read  timeout = 5s  trust = untrusted  parse = text
  sandbox { network = ["api.example.org"] }
}""",
    allowable=True,
)


def sandbox_without_network(subject: Subject) -> Iterator[Diagnostic]:
    """ORC832: a program of the network in a sandbox that has none."""
    for owner, body in _code(subject):
        sandbox = owner.settings.get("sandbox")
        run = setting_of(body, "run")
        if not isinstance(sandbox, Sandbox) or sandbox.reach != "none":
            continue
        if not isinstance(run, ast.ListExpr) or program_of(run) not in NETWORK_PROGRAMS:
            continue
        cause = "its sandbox has none"
        if not sandbox.demanded:
            cause = "an untrusted worker has none unless its file says so"
        setting = f"sandbox {{ network = {_hosts_in(run)} }}"
        yield diagnostic(
            "ORC832",
            f"`{program_of(run)}` needs the network, and {cause}",
            run.items[0].span,
            help=f"write `{setting}` with the hosts that it needs, or `network = any`",
            fix=None if sandbox.demanded else adding(body, setting),
        )


SANDBOX_IN_PROCESS = Rule(
    code="ORC833",
    name="sandbox-in-process",
    severity="error",
    summary="A function is to run in a sandbox and in the engine's process.",
    why="A sandbox is around a process: a function that has one runs in a process of its own.",
    bad="""\
worker f(obj: json) -> json via python {
  call = "json:dumps"  isolate = false
  sandbox { network = none }
}""",
    good="""\
worker f(obj: json) -> json via python {
  call = "json:dumps"
  sandbox { network = none }
}""",
    allowable=False,
)


def sandbox_in_process(subject: Subject) -> Iterator[Diagnostic]:
    """ORC833: `isolate = false` next to a `sandbox`."""
    for _, body, _ in (each for file in subject.files for each in _written(file)):
        isolate = setting_of(body, "isolate")
        if isinstance(isolate, ast.Boolean) and not isolate.value:
            yield diagnostic(
                "ORC833",
                "`isolate = false` contradicts the `sandbox`, which is around a process of its own",
                isolate.span,
                help="remove `isolate`, or write `sandbox = off`",
                fix=Fix("write `true`", (Edit(isolate.span, "true"),), "unsafe"),
            )


SANDBOX_SECRET = Rule(
    code="ORC834",
    name="sandbox-secret",
    severity="error",
    summary="A sandbox passes on a key or a secret.",
    why=(
        "`env` of a sandbox never passes on keys of providers or secrets. What the code is meant "
        "to have is set by name, in the worker's own `env`."
    ),
    bad="""\
secret TOKEN
worker report(text: string) -> json via command {
  run = ["report"]  stdin = text  effect = write  timeout = 5s
  sandbox { network = ["report.example"]  env = ["TOKEN"] }
}""",
    good="""\
secret TOKEN
worker report(text: string) -> json via command {
  run = ["report"]  stdin = text  effect = write  timeout = 5s
  env = { TOKEN: secret.TOKEN }
  sandbox { network = ["report.example"] }
}""",
    allowable=False,
)


def sandbox_secret(subject: Subject) -> Iterator[Diagnostic]:
    """ORC834: a variable of `env` that holds a credential."""
    secrets = subject.program.secrets
    for _, _, block in (each for file in subject.files for each in _written(file)):
        for name, span in _items(block, "env"):
            if name in secrets or is_provider_key(name):
                what = "a secret" if name in secrets else "a key of a model provider"
                yield diagnostic(
                    "ORC834",
                    f"`{name}` is {what}, which a sandbox does not pass on",
                    span,
                    help="if the code is meant to have it, set it in the worker's own `env`: "
                    f"`env = {{ {name}: secret.{name} }}`",
                )


def _code(subject: Subject) -> Iterator[tuple[Worker | Verifier, ast.Body]]:
    """The workers and verifiers that the file declares, with their bodies."""
    program = subject.program
    for name, entity in subject.declared.items():
        owner = program.workers.get(name) or program.verifiers.get(name)
        node = entity.declaration
        if owner is not None and isinstance(node, ast.WorkerDecl | ast.VerifierDecl):
            yield owner, node.body


def _written(subject: Subject) -> Iterator[tuple[Worker | Verifier, ast.Body, ast.Body]]:
    """Those that have a sandbox of a kind that takes one, with its block."""
    for owner, body in _code(subject):
        block = block_of(body, "sandbox")
        if block is not None and isinstance(owner.settings.get("sandbox"), Sandbox):
            yield owner, body, block


def _items(block: ast.Body, setting: str) -> Iterator[tuple[str, Span]]:
    """The literal strings of a list."""
    value = setting_of(block, setting)
    for item in value.items if isinstance(value, ast.ListExpr) else ():
        if isinstance(item, ast.String):
            yield item.value, item.span


def _hosts_in(run: ast.ListExpr) -> str:
    """The host of a URL that an argument begins with, as a list, or `any`."""
    for item in run.items:
        first = item.left if isinstance(item, ast.Binary) else item
        if isinstance(first, ast.String):
            match = re.match(r"https?://([A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?=[/?#])", first.value)
            if match:
                return f'["{match[1]}"]'
    return "any"
