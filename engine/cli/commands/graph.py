"""`orch graph`: draw a workflow, or give its graph to another program."""

from __future__ import annotations

import click

from engine.cli import complete
from engine.cli.checked import check_with_params
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.options import param_option
from engine.cli.output import report, write_result
from engine.graph.build import collect
from engine.graph.svg import to_svg
from engine.graph.text import to_dot, to_json, to_mermaid
from engine.sema.suggest import closest, names_list

__all__ = ["command"]


@click.command("graph")
@click.argument("file", metavar="FILE", shell_complete=complete.files)
@click.option(
    "--format",
    "style",
    type=click.Choice(["mermaid", "dot", "json", "svg"]),
    default="mermaid",
    show_default=True,
    help="Output format.",
)
@click.option("-o", "--output", metavar="PATH", help="Write to this file instead of stdout.")
@click.option("--name", metavar="ORCHESTRATOR", help="Only what this orchestrator can reach.")
@param_option
def command(
    file: str, style: str, output: str | None, name: str | None, params: dict[str, str]
) -> int:
    """Draw the workflow in FILE: orchestrators, workers, verifiers and models.

    Exit codes: 0 drawn; 2 usage; 3 the file cannot be read or has errors.
    """
    checked = check_with_params(file, params)
    program = checked.program
    if program is None:
        report(checked.diagnostics)
        return Exit.UNREADABLE
    graph = collect(program)
    if name is not None:
        if name not in program.orchestrators:
            raise _unknown(name, list(program.orchestrators), file)
        graph = graph.part(name)
    if style == "json":
        text = to_json(graph, name or program.entry)
    elif style == "dot":
        text = to_dot(graph)
    elif style == "svg":
        text = to_svg(graph, f"The workflow {name or program.entry or file}")
    else:
        text = to_mermaid(graph)
    write_result(text, output)
    return Exit.OK


def _unknown(name: str, known: list[str], file: str) -> CommandError:
    near = closest(name, known)
    if near is not None:
        help = f"did you mean `{near}`?"
    else:
        help = f"it has {names_list(known)}" if known else "it declares no orchestrator"
    return CommandError(f"{file} has no orchestrator `{name}`", Exit.USAGE, help=help)
