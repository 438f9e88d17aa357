"""`orch reject`: answer a gate with no, and go on with the run as its file says."""

from __future__ import annotations

import click

from engine.cli import complete
from engine.cli.answer import answer_gate, gate_options, who
from engine.cli.execute import Manner, manner_options
from engine.cli.journals import journal_option
from engine.replies import Reply

__all__ = ["command"]


@click.command("reject")
@click.argument("run", metavar="RUN", shell_complete=complete.runs)
@gate_options
@journal_option
@manner_options
def command(
    run: str,
    gate: str | None,
    task: str | None,
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
    """Reject what RUN waits for, and go on with it as its file says.

    RUN is a run's id, the beginning of one, or `last`. Where several gates are open, name one with
    --gate or --task. Output and exit codes are those of `orch run`; 2 where the gate is not open
    (any more). Where another process has the run in hand it is given the answer, and 0 says that
    it has taken it; 3 that it does not.
    """
    manner = Manner(style, quiet, color, models, record_dir, directory, full)
    return answer_gate(
        run, manner, gate, task, lambda _: Reply(answer="reject", note=note, by=who(by))
    )
