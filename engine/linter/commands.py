"""ORC511, ORC807, ORC808: commands that run a text as a program, or talk to the network.

`run` is a list, so no input can become two arguments or an operator; but a shell that is run reads
its argument as a program anyway. And what a command does to the network no file says: the
few programs known by name here are what most people reach for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import adding, block_of, setting_of
from engine.linter.subject import Subject
from engine.linter.ways import reached_starts
from engine.sema.expressions.template import Expression
from engine.sema.kinds.command import COMMAND, NETWORK_PROGRAMS, program_of
from engine.sema.model import Verifier, Worker
from engine.sema.trust import carries, facts_of
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = [
    "command_on_the_network",
    "is_network_command",
    "shell_interpolation",
    "undeclared_source",
]

_SHELLS = frozenset(["sh", "bash", "zsh", "dash", "ksh", "ash"])
#: Programs that take a program's text as an argument, and the options before it.
_INTERPRETERS = {
    **dict.fromkeys(_SHELLS, r"-[a-z]*c[a-z]*"),
    "fish": r"-c",
    "cmd": r"(?i)/[ck]",
    "powershell": r"(?i)-c(?:ommand)?",
    "pwsh": r"(?i)-c(?:ommand)?",
    "python": r"-[A-Za-z]*c",
    "python3": r"-[A-Za-z]*c",
    "node": r"-e|--eval|-p|--print",
    "perl": r"-[a-z]*e",
    "ruby": r"-[a-z]*e",
    "php": r"-r",
}
#: Programs of the network whose output comes from a foreign server.
_FETCHERS = frozenset(
    ("aria2c", "curl", "gh", "glab", "http", "https", "lynx", "w3m", "wget", "xh")
)  # fmt: skip


SHELL_INTERPOLATION = Rule(
    code="ORC511",
    name="shell-interpolation",
    severity="error",
    summary="An input becomes part of code that a shell or interpreter runs.",
    why=(
        "`run` is a list, so that inputs cannot become commands. But a shell interprets its "
        "argument as a program: `; rm -rf /` in the input would run."
    ),
    bad="""\
worker find(q: string) -> string via command {
  run = ["sh", "-c", "grep -rn '" ~ q ~ "' ."]
  effect = read  timeout = 5s }""",
    good="""\
worker find(q: string) -> string via command {
  run = ["sh", "-c", "grep -rn \\"$1\\" .", "sh", q]
  effect = read  timeout = 5s }""",
    allowable=True,
)


def shell_interpolation(subject: Subject) -> Iterator[Diagnostic]:
    """ORC511: an input that becomes part of a program's text."""
    for owner, run in (each for file in subject.files for each in _commands(file)):
        found = _text_argument(run)
        if found is None:
            continue
        interpreter, position = found
        script = run.items[position]
        inputs = [node for node in walk(script) if _is_text_input(owner, node)]
        if inputs:
            shown = " and ".join(dict.fromkeys(f"`{node.span.text}`" for node in inputs))
            yield diagnostic(
                "ORC511",
                f"{shown} becomes part of a program that `{interpreter}` runs: "
                "whoever writes it can run anything",
                inputs[0].span,
                help='pass it as an argument: `["sh", "-c", "grep \\"$1\\"", "sh", pattern]`'
                if interpreter in _SHELLS
                else "pass it as an argument or on `stdin`, not as text of the program",
                fix=_as_arguments(run, position) if interpreter in _SHELLS else None,
            )


UNTRUSTED_NETWORK_COMMAND = Rule(
    code="ORC807",
    name="untrusted-network-command",
    severity="warning",
    summary="Untrusted text reaches a command that can send anything anywhere.",
    why=(
        "An `http` worker reaches only hosts that are written in its file, and so does a command "
        "whose sandbox lists them. Another command can reach any host, and the address itself can "
        "carry data away. At run time, such a task is denied."
    ),
    bad="""\
worker fetch(u: string) -> string via command {
  run = ["curl", "-s", u]  effect = read  timeout = 5s  trust = untrusted  parse = text
  sandbox { network = any }
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search, fetch]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
worker fetch(u: string) -> string via command {
  run = ["curl", "-s", u]  effect = read  timeout = 5s  trust = untrusted  parse = text
  sandbox { network = ["a.example"] }
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search, fetch]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=True,
)


def command_on_the_network(subject: Subject) -> Iterator[Diagnostic]:
    """ORC807: a program that can send anything anywhere, steered by untrusted text."""
    ways = list(reached_starts(subject, "way_out"))
    for owner, run in _commands(subject):
        if not isinstance(owner, Worker) or not is_network_command(owner):
            continue
        address = facts_of(subject.program, owner).address
        used = [
            node for node in walk(run) if isinstance(node, ast.Variable) and node.name in address
        ]
        way = next((it.way for it in ways if owner.name in (it.inside or [it.worker.name])), None)
        if way is None or not used:
            continue
        shown = " -> ".join(map(str, way))
        name = program_of(run)
        yield diagnostic(
            "ORC807",
            f"untrusted text can make `{name}` reach any address and send what was read: {shown}",
            used[0].span,
            help='list its hosts, `sandbox { network = ["a.example"] }`, use an `http` worker, say '
            f"where the address may come from (`{used[0].name}: ... @from(...)`), or let a "
            "`before_dispatch` hook look at it",
        )


def is_network_command(worker: Worker) -> bool:
    """Whether a worker starts a program that is known to reach the network."""
    run = worker.settings.get("run")
    expr = run.expr if worker.kind == COMMAND.name and isinstance(run, Expression) else None
    return isinstance(expr, ast.ListExpr) and program_of(expr) in NETWORK_PROGRAMS


UNDECLARED_SOURCE = Rule(
    code="ORC808",
    name="undeclared-source",
    severity="warning",
    summary="A command fetches from the network, and its output counts as trusted.",
    why=(
        "Only declared external text is tracked. An `http` worker is untrusted by default, but "
        "a command is not."
    ),
    bad="""\
worker fetch(u: string) -> string via command {
  run = ["curl", "-s", u]  effect = read  timeout = 5s  parse = text
}
""",
    good="""\
worker fetch(u: string) -> string via command {
  run = ["curl", "-s", u]  effect = read  timeout = 5s  trust = untrusted  parse = text
  sandbox { network = any }
}
""",
    allowable=True,
)


def undeclared_source(subject: Subject) -> Iterator[Diagnostic]:
    """ORC808: output from the network that is taken for one's own."""
    for owner, run in _commands(subject):
        name = program_of(run)
        if name not in _FETCHERS or not isinstance(owner, Worker) or owner.trust == "untrusted":
            continue
        if owner.facts.network == "none":
            continue
        node = subject.declared[owner.name].declaration
        assert isinstance(node, ast.WorkerDecl)
        schema = owner.output.schema
        # An untrusted command has no network unless a sandbox says that it has.
        wanted = "trust = untrusted"
        if block_of(node.body, "sandbox") is None:
            wanted += "  sandbox { network = any }"
        if setting_of(node.body, "trust") is None and carries(schema, schema):
            yield diagnostic(
                "ORC808",
                f"what `{name}` gives comes from outside, and `{owner.name}` passes for trusted",
                run.span,
                help=f"add `{wanted}`; `trust = trusted` says that it is your own server",
                fix=adding(node.body, wanted),
                related=(Related("this worker", owner.span),),
            )


def _commands(subject: Subject) -> Iterator[tuple[Worker | Verifier, ast.ListExpr]]:
    """The commands that the file declares, with their argument lists."""
    program = subject.program
    for name, entity in subject.declared.items():
        owner = program.workers.get(name) or program.verifiers.get(name)
        node = entity.declaration
        if owner is None or owner.kind != COMMAND.name:
            continue
        assert isinstance(node, ast.WorkerDecl | ast.VerifierDecl)
        run = setting_of(node.body, "run")
        if isinstance(run, ast.ListExpr):
            yield owner, run


def _text_argument(run: ast.ListExpr) -> tuple[str, int] | None:
    """The interpreter in an argument list and the position of the text it runs, or None."""
    words = [item.value if isinstance(item, ast.String) else "" for item in run.items]
    for at, word in enumerate(words[:-2]):
        name = re.sub(r"\.exe$", "", os.path.basename(word))
        if name in _INTERPRETERS:
            for option in range(at + 1, len(words) - 1):
                if re.fullmatch(_INTERPRETERS[name], words[option]):
                    return name, option + 1
    return None


def _is_text_input(owner: Worker | Verifier, node: ast.Node) -> bool:
    """Whether a node reads an input that can hold text."""
    schema = owner.inputs.schema
    fields = schema.get("properties", {})
    return (
        isinstance(node, ast.Variable)
        and node.name in fields
        and carries(fields[node.name], schema)
    )


def _as_arguments(run: ast.ListExpr, position: int) -> Fix | None:
    """Texts joined with names become a script that reads `$1`, `$2`, ...; else None."""
    if position != len(run.items) - 1:
        return None
    parts = _joined(run.items[position])
    if parts is None or not isinstance(parts[0], ast.String):
        # What an input begins with is the program that is run: no argument can be there.
        return None
    script, names = "", []
    for at, part in enumerate(parts):
        if isinstance(part, ast.Variable):
            if script.count("'") % 2 or script.count('"') % 2:
                # Inside quotes that continue after it, `$1` would mean something else.
                return None
            names.append(part.name)
            script += f'"${len(names)}"'
            continue
        text = part.value
        # The quotes around the name are the new ones now.
        if at > 0 and text[:1] in ("'", '"'):
            text = text[1:]
        if at < len(parts) - 1 and text[-1:] in ("'", '"'):
            text = text[:-1]
        script += text
    if script.count("'") % 2 or script.count('"') % 2:
        return None
    arguments = ", ".join([json.dumps(script), '"sh"', *names])
    return Fix("pass it as an argument", (Edit(run.items[position].span, arguments),), "unsafe")


def _joined(expr: ast.Expr) -> list[ast.String | ast.Variable] | None:
    if isinstance(expr, ast.String | ast.Variable):
        return [expr]
    if isinstance(expr, ast.Binary) and expr.operator == "~":
        left, right = _joined(expr.left), _joined(expr.right)
        return None if left is None or right is None else left + right
    return None
