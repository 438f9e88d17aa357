"""`orch gates`: what runs wait for, and the commands that answer."""

from __future__ import annotations

import json
from typing import Any

import click

from engine.cli import complete
from engine.cli.exits import Exit
from engine.cli.journals import find_run, journal_option, open_journal, timestamp
from engine.cli.options import format_option
from engine.cli.output import warn
from engine.cli.questions import about, answers, left_ms
from engine.cli.wording import age, one_line
from engine.errors import CompileError, JournalError
from engine.events import RunStatus
from engine.journal import Journal
from engine.launch import load_run
from engine.runtime.report import gate_reports

__all__ = ["command"]

_OPEN: tuple[RunStatus, ...] = ("waiting", "running")


@click.command("gates")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=complete.runs)
@format_option("How to show them.")
@journal_option
def command(run: str | None, style: str, directory: str) -> int:
    """List the open gates of all runs, or of RUN, oldest first.

    Exit codes: 0, also if there are none; 2 there is no such run; 3 the journal cannot be read.
    """
    journal = open_journal(directory)
    try:
        names = [find_run(journal, run)] if run is not None else _open(journal)
        found = [gate for name in names for gate in _gates(journal, name, one=run is not None)]
    finally:
        journal.close()
    found.sort(key=lambda gate: gate["opened_ms"] or 0)
    if style == "json":
        click.echo(json.dumps([_fields(gate) for gate in found], indent=2))
        return Exit.OK
    if not found:
        click.echo(f"no open gates in {directory if run is None else names[0]}", err=True)
    for gate in found:
        _show(gate, [other for other in found if other["run"] == gate["run"]], directory)
    return Exit.OK


def _open(journal: Journal) -> list[str]:
    """The runs that have not ended: one that is under way may ask beside its other work."""
    return [summary.run for status in _OPEN for summary in journal.runs(None, status)]


def _gates(journal: Journal, run: str, *, one: bool) -> list[dict[str, Any]]:
    """The open gates of a run. Of several runs, one that cannot be read hides no other."""
    try:
        record, state = load_run(journal, run)
    except (CompileError, JournalError) as problem:
        if one:
            raise
        warn(f"run {run} cannot be read: {one_line(str(problem), 300)}")
        return []
    if state.ended:
        return []
    about_run = {"run": run, "workflow": record.workflow}
    return [{**about_run, **gate} for gate in gate_reports(state)]


def _fields(gate: dict[str, Any]) -> dict[str, Any]:
    opened = gate["opened_ms"]
    return {
        **gate,
        "opened": None if opened is None else timestamp(opened),
        "left_ms": left_ms(gate),
    }


def _show(gate: dict[str, Any], beside: list[dict[str, Any]], directory: str) -> None:
    opened = "" if gate["opened_ms"] is None else f", {age(gate['opened_ms'])}"
    click.echo(f"{gate['run']}  {one_line(gate['workflow'])} {gate['orchestrator']}{opened}")
    click.echo(f"  {one_line(gate['message'], 400)}")
    said = about(gate)
    if said:
        click.echo(f"  {said}")
    click.echo(f"  gate: {gate['key']}")
    lines = list(answers(gate, beside, gate["run"], directory))
    width = max(len(line) for line, _ in lines)
    for line, means in lines:
        click.echo(f"    {line.ljust(width)}  # {means}")
