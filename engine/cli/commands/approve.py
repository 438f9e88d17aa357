"""`orch approve`: approve a gate, or give the outcome of a `once` task, and resume the run."""

from __future__ import annotations

from typing import Any

import click

from engine.cli import complete
from engine.cli.answer_gate import answer_gate, gate_options, json_file, outcome_needed, who
from engine.cli.drive_run import RunOptions, with_run_options
from engine.cli.journals import journal_option
from engine.drive.answers import Reply, addressed, meant
from engine.errors import InputError
from engine.runtime.forks import offers
from engine.runtime.plan_review import bare_plan
from engine.runtime.state import Gate

__all__ = ["command"]


@click.command("approve")
@click.argument("run", metavar="RUN", shell_complete=complete.runs)
@gate_options
@click.option(
    "--edit",
    metavar="FILE",
    callback=json_file,
    help="Replace the input of the task, or the plan: JSON; - is standard input.",
)
@click.option(
    "--output",
    metavar="FILE",
    callback=json_file,
    help="The output of the task, or the result to finish with: JSON; - is standard input.",
)
@click.option("--not-done", is_flag=True, help="The task was not done: start it again.")
@journal_option
@with_run_options
def command(
    run: str,
    gate: str | None,
    task: str | None,
    items: list[str] | None,
    note: str,
    by: str | None,
    edit: Any,
    output: Any,
    not_done: bool,
    directory: str,
    models: dict[str, str],
    record_dir: str | None,
    style: str,
    full: bool,
    quiet: bool,
    color: str,
) -> int:
    """Approve a gate and resume the run.

    RUN is a run's id, the beginning of one, or `last`. If several gates are open, name one with
    --gate or --task. Output and exit codes are those of `orch run`; 2 means that the gate is
    not open (any more). If another process is driving the run, it gets the answer: 0 means
    accepted, 3 not accepted.
    """
    if isinstance(edit, list):  # the gate of a plan, as `orch gates --format json` lists it
        edit = bare_plan(edit)
    if edit is not ... and not isinstance(edit, dict):
        raise InputError(["--edit: a JSON object is expected: the task's inputs, or the plan"])
    if not_done and (edit is not ... or output is not ...):
        raise click.UsageError("--not-done goes without --edit and --output.")
    run_options = RunOptions(style, quiet, color, models, record_dir, directory, full)

    def reply_to(found: Gate) -> Reply:
        reply = Reply(
            answer="not_done" if not_done else "approve",
            note=note,
            output=None if output is ... else output,
            edit=None if edit is ... else edit,
            by=who(by),
            items=items,
        )
        if found.kind == "outcome" and not not_done and output is ...:
            tasks = meant(found, addressed(found, gate or task, reply).items)
            if not offers(found, tasks):
                raise outcome_needed(found, tasks, run, directory)
        return reply

    return answer_gate(run, run_options, gate, task, reply_to)
