"""`orch gates`: what runs wait for, and the commands that answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec

from engine.cli import complete
from engine.cli.exit_codes import Exit
from engine.cli.format_values import age, one_line
from engine.cli.gate_text import about, answers, left_ms
from engine.cli.journals import find_run, journal_option, open_journal, timestamp
from engine.cli.options import format_option
from engine.cli.output import echo, warn
from engine.drive.loading import compile_record, load_run
from engine.errors import CompileError, JournalError
from engine.journal import Journal, RunRecord
from engine.runtime.report import gate_reports
from engine.runtime.waiting import open_gates
from engine.sema.model import Program

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
            found = _all(journal)
        else:
            run = find_run(journal, run)
            found = _folded(journal, run, compile_record)
    finally:
        journal.close()
    found.sort(key=lambda gate: gate["opened_ms"] or 0)
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


def _all(journal: Journal) -> list[dict[str, Any]]:
    """The open gates of all runs that have not ended. One that cannot be read hides no other."""
    found: list[dict[str, Any]] = []
    whole: list[str] = []
    for summary, events in journal.waiting():
        gates = None if events is None else open_gates(events)
        if gates is None:
            whole.append(summary.run)
        else:
            about_run = {"run": summary.run, "workflow": summary.workflow}
            found += [{**about_run, **gate} for gate in gates]
    # One that is under way may ask beside its other work.
    whole += [summary.run for summary in journal.runs(None, "running")]
    compiled = _Programs()
    for run in whole:
        try:
            found += _folded(journal, run, compiled)
        except (CompileError, JournalError) as problem:
            warn(f"run {run} cannot be read: {one_line(str(problem), 300)}")
    return found


class _Programs:
    """Compiles the program of each record, those of one text once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Program] = {}

    def __call__(self, record: RunRecord) -> Program:
        key = msgspec.json.encode(
            [record.cwd, record.workflow, record.files, record.params], order="sorted"
        )
        if key not in self._known:
            self._known[key] = compile_record(record)
        return self._known[key]


def _folded(
    journal: Journal, run: str, compiled: Callable[[RunRecord], Program]
) -> list[dict[str, Any]]:
    """The open gates of a run, from all of its events."""
    record, state = load_run(journal, run, compiled)
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


def _lines(gate: dict[str, Any], beside: list[dict[str, Any]], directory: str) -> Iterator[str]:
    opened = "" if gate["opened_ms"] is None else f", {age(gate['opened_ms'])}"
    yield f"{gate['run']}  {one_line(gate['workflow'])} {gate['orchestrator']}{opened}"
    yield f"  {one_line(gate['message'], 400)}"
    said = about(gate)
    if said:
        yield f"  {said}"
    yield f"  gate: {gate['key']}"
    lines = list(answers(gate, beside, gate["run"], directory))
    width = max(len(line) for line, _ in lines)
    for line, means in lines:
        yield f"    {line.ljust(width)}  # {means}"
