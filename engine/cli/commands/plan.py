"""`orch plan`: what a plan would start and cost, without starting any of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from engine.cli.answer_gate import json_file
from engine.cli.checked import check_with_params
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.format_values import compact
from engine.cli.input_values import input_options, input_values, program_arguments
from engine.cli.options import color_option, format_option, pairs, param_option
from engine.cli.output import echo, error, report
from engine.cli.plan_text import entry_texts, estimate_text
from engine.drive import launch
from engine.drive.guard import refuse_given
from engine.drive.launch import Options
from engine.drive.outlook import Outlook, outlook
from engine.errors import CompileError, Failure
from engine.linter.admission import admit
from engine.redaction import current

__all__ = ["command"]


@click.command("plan")
@program_arguments
@input_options
@click.option(
    "--edit",
    metavar="PATH",
    callback=json_file,
    help="The plan, as a decision in JSON; - is standard input.",
)
@param_option
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=ID",
    callback=pairs,
    help="Use another model for one of the file; may be given several times.",
)
@format_option("How to print it.")
@color_option
def command(
    file: str,
    orchestrator: str | None,
    inputs: list[tuple[str, str]],
    source: str | None,
    edit: Any,
    params: dict[str, str],
    models: dict[str, str],
    style: str,
    color: str,
) -> int:
    """Print what a plan for FILE, or the named ORCHESTRATOR of it, would start and cost.

    The plan is that of --edit, or the first decision of a scripted or recorded planner. Nothing of
    it is started, and no provider is asked.

    Exit codes: 0 the plan can run; 1 it cannot; 2 usage, or inputs that do not fit; 3 the file
    cannot be read or has errors.
    """
    try:
        program = admit(check_with_params(file, params))
    except CompileError as refused:
        report(refused.diagnostics, color)
        return Exit.UNREADABLE
    chosen = launch.choose(program, orchestrator)
    refuse_given(current(), dict(inputs), {})
    values = input_values(chosen.inputs, inputs, source, chosen.policy.max_input_bytes)
    plan = None if edit is ... else edit
    if edit is None:
        plan = "null"  # JSON's, which is no plan, and not the absence of one
    try:
        found = asyncio.run(outlook(program, chosen, values, Options(models=models), plan))
    except Failure as failure:
        raise CommandError(f"the planner gives no plan: {failure}", Exit.FINDINGS) from None
    _print(found, style, file, chosen.name)
    return Exit.FINDINGS if found.problems else Exit.OK


def _print(found: Outlook, style: str, file: str, orchestrator: str) -> None:
    if style == "json":
        said = {
            "workflow": file,
            "orchestrator": orchestrator,
            "tasks": found.tasks,
            "estimate": found.estimate,
            "finish": found.finish,
            "problems": found.problems,
        }
        echo(json.dumps(said, indent=2))
        return
    for problem in found.problems:
        error(problem)
    for line in entry_texts(found.tasks):
        echo(line)
    if found.estimate is not None:
        echo(estimate_text(found.estimate))
    elif not found.problems:
        echo(f"the decision starts no task; it finishes with {compact(found.finish, 200)}")
