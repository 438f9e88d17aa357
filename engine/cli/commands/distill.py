"""`orch distill`: the decisions of a good run as a `via plan` worker."""

from __future__ import annotations

import json

import click
import msgspec

from engine.cli import complete
from engine.cli.end_report import note
from engine.cli.exit_codes import Exit
from engine.cli.format_values import count
from engine.cli.journals import find_run, journal_option, open_journal
from engine.cli.options import format_option
from engine.cli.output import echo, warn
from engine.history.distill import distill_run
from engine.sema.suggest import names_list

__all__ = ["command"]


@click.command("distill")
@click.argument("run", metavar="[RUN]", default="last", shell_complete=complete.runs)
@click.option(
    "--round", "number", type=click.IntRange(min=1), help="Only this round, not the whole run."
)
@click.option("--name", metavar="NAME", help="The name of the worker.")
@format_option("How to show it.")
@journal_option
def command(run: str, number: int | None, name: str | None, style: str, directory: str) -> int:
    """Print a `via plan` worker that repeats what the planner of RUN decided.

    RUN is a run's id, the beginning of one, or `last`. Values that are in an input or in an earlier
    output become references; other values of the planner become inputs, with these values as
    defaults. Comments in the worker say what the planner judged, which a plan cannot repeat. Review
    it, and add it to the file.

    Exit codes: 0 printed; 2 usage, or no plan can be made of the run; 3 the journal cannot be
    read, or the program of the run has errors.
    """
    journal = open_journal(directory)
    try:
        found = distill_run(journal, find_run(journal, run), number=number, name=name)
    finally:
        journal.close()
    if found.changed:
        changed = names_list(found.changed)
        warn(
            f"the file has changed since the run: {changed}",
            help="the plan fits the program of the run; lint it after you add it",
        )
    if style == "json":
        echo(json.dumps(msgspec.to_builtins(found), indent=2))
        return Exit.OK
    echo(found.text, nl=False)
    tasks, steps = count(found.tasks, "decided task"), count(found.steps, "step")
    note(f"{tasks} as {steps}; review the comments before you use it")
    return Exit.OK
