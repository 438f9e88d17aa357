"""`orch gates`: what runs wait for, and the commands that answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from engine.cli import complete
from engine.cli.exit_codes import Exit
from engine.cli.format_values import age, one_line
from engine.cli.gate_text import about, answers, entry_lines, items, left_ms, origin_lines
from engine.cli.journals import find_run, journal_option, open_journal, timestamp
from engine.cli.options import format_option
from engine.cli.output import echo, warn
from engine.history.waiting_runs import gates_of, gates_of_all

__all__ = ["command"]


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
        if run is None:
            found = gates_of_all(journal, _unreadable)
        else:
            run = find_run(journal, run)
            found = gates_of(journal, run)
    finally:
        journal.close()
    if style == "json":
        echo(json.dumps([_fields(gate) for gate in found], indent=2))
        return Exit.OK
    if not found:
        echo(f"no open gates in {directory if run is None else run}", err=True)
    of_run: dict[str, list[dict[str, Any]]] = {}
    for gate in found:
        of_run.setdefault(gate["run"], []).append(gate)
    for gate in found:
        echo("\n".join(_lines(gate, of_run[gate["run"]], directory)))
    return Exit.OK


def _unreadable(run: str, problem: Exception) -> None:
    warn(f"run {run} cannot be read: {one_line(str(problem), 300)}")


def _fields(gate: dict[str, Any]) -> dict[str, Any]:
    opened = gate["opened_ms"]
    return {
        **gate,
        "opened": None if opened is None else timestamp(opened),
        "left_ms": left_ms(gate),
    }


def _lines(gate: dict[str, Any], beside: list[dict[str, Any]], directory: str) -> Iterator[str]:
    opened = "" if gate["opened_ms"] is None else f", {age(gate['opened_ms'])}"
    yield f"{gate['run']}  {one_line(gate['workflow'])} {gate['orchestrator']}{opened}"
    yield f"  {one_line(gate['message'], 400)}"
    said = about(gate)
    if said:
        yield f"  {said}"
    for line in [*origin_lines(gate), *entry_lines(gate), *items(gate)]:
        yield f"    {line}"
    yield f"  gate: {gate['key']}"
    lines = list(answers(gate, beside, gate["run"], directory))
    width = max(len(line) for line, _ in lines)
    for line, means in lines:
        yield f"    {line.ljust(width)}  # {means}"
