"""`orch reject`: reject a gate, and resume the run as its file says."""

from __future__ import annotations

import click

from engine.cli import complete
from engine.cli.answer_gate import answer_gate, gate_options, who
from engine.cli.drive_run import RunOptions, with_run_options
from engine.cli.journals import journal_option
from engine.drive.answers import Reply

__all__ = ["command"]


@click.command("reject")
@click.argument("run", metavar="RUN", shell_complete=complete.runs)
@gate_options
@journal_option
@with_run_options
def command(
    run: str,
    gate: str | None,
    task: str | None,
    items: list[str] | None,
    note: str,
    by: str | None,
    directory: str,
    models: dict[str, str],
    record_dir: str | None,
    style: str,
    full: bool,
    quiet: bool,
    color: str,
) -> int:
    """Reject a gate and resume the run as its file says.

    RUN is a run's id, the beginning of one, or `last`. If several gates are open, name one with
    --gate or --task. Output and exit codes are those of `orch run`; 2 means that the gate is
    not open (any more). If another process is driving the run, it gets the answer: 0 means
    accepted, 3 not accepted.
    """
    run_options = RunOptions(style, quiet, color, models, record_dir, directory, full)
    reply = Reply(answer="reject", note=note, by=who(by), items=items)
    return answer_gate(run, run_options, gate, task, lambda _: reply)
