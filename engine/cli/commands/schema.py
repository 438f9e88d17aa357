"""`orch schema`: the JSON Schema of what a workflow takes and returns.

For whoever calls a workflow from another program: the same schemas that the engine checks
against, self-contained, in JSON Schema 2020-12.
"""

from __future__ import annotations

import json
from typing import Any

import click

from engine.cli import complete
from engine.cli.checked import check_with_params
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.options import param_option
from engine.cli.output import report, write_result
from engine.drive.launch import choose
from engine.printable import escaped
from engine.sema.model import Program
from engine.sema.suggest import closest, names_list
from engine.sema.types.contract import VERDICT, Contract

__all__ = ["command"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@click.command("schema")
@click.argument("file", metavar="FILE", shell_complete=complete.files)
@click.argument("name", required=False, shell_complete=complete.orchestrators)
@click.option(
    "--of",
    "side",
    type=click.Choice(["both", "input", "output"]),
    default="both",
    show_default=True,
    help="Which side of the contract: both as one object, or one schema alone.",
)
@click.option("-o", "--output", metavar="PATH", help="Write to this file instead of stdout.")
@param_option
def command(
    file: str, name: str | None, side: str, output: str | None, params: dict[str, str]
) -> int:
    """Print the JSON Schema of NAME in FILE: an orchestrator, worker, verifier or schema.

    Without NAME, it is that of the orchestrator that no other uses. `--of both` prints an object
    with the fields `input` and `output`; a declared schema is printed as it is.

    Exit codes: 0 printed; 2 usage; 3 the file cannot be read or has errors.
    """
    checked = check_with_params(file, params)
    if checked.program is None:
        report(checked.diagnostics)
        return Exit.UNREADABLE
    document = _document(checked.program, name, side)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    write_result(escaped(text) + "\n", output)
    return Exit.OK


def _document(program: Program, name: str | None, side: str) -> dict[str, Any]:
    if name is None:
        name = choose(program, None).name
    if name in program.schemas:
        if side != "both":
            raise click.UsageError(f"`{name}` is a schema: it has no {side} of its own.")
        return _titled(Contract(program.schemas[name]), name)
    given: Contract
    if name in program.verifiers:
        taken, given = program.verifiers[name].inputs, VERDICT
    else:
        callable_ = program.orchestrators.get(name) or program.workers.get(name)
        if callable_ is None:
            raise _unknown(program, name)
        taken, given = callable_.inputs, callable_.output
    sides = {"input": (taken, f"{name} input"), "output": (given, f"{name} output")}
    if side != "both":
        return _titled(*sides[side])
    return {key: _titled(contract, title) for key, (contract, title) in sides.items()}


def _titled(contract: Contract, title: str) -> dict[str, Any]:
    rest = {key: value for key, value in contract.schema.items() if key != "title"}
    return {"$schema": _DIALECT, "title": title, **rest}


def _unknown(program: Program, name: str) -> CommandError:
    known = [*program.orchestrators, *program.workers, *program.verifiers, *program.schemas]
    near = closest(name, known)
    help = f"did you mean `{near}`?" if near else f"it declares {names_list(known)}"
    return CommandError(f"{program.path} declares no `{name}` with a schema", Exit.USAGE, help=help)
