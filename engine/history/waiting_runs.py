"""What the runs of a journal wait for: the open gates of all of them, or of one.

Only looks: nothing is claimed, driven or written. A run that cannot be read hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from engine.drive.loading import compile_record, load_run
from engine.errors import CompileError, JournalError
from engine.journal import Journal, RunRecord
from engine.runtime.questions import gate_reports
from engine.runtime.waiting import open_gates
from engine.sema.model import Program

__all__ = ["gates_of", "gates_of_all"]


def gates_of_all(
    journal: Journal, unreadable: Callable[[str, Exception], None]
) -> list[dict[str, Any]]:
    """The open gates of all runs that have not ended.

    Args:
        unreadable: Told of each run that cannot be read, and why.

    Returns:
        Each as `gate_report` gives it, with `run` and `workflow`; oldest first.
    """
    found: list[dict[str, Any]] = []
    whole: list[str] = []
    for summary, events in journal.waiting():
        gates = None if events is None else open_gates(events)
        if gates is None:
            whole.append(summary.run)
        else:
            about_run = {"run": summary.run, "workflow": summary.workflow}
            found += [{**about_run, **gate} for gate in gates]
    # A run that is being driven may ask while it does other work.
    whole += [summary.run for summary in journal.runs(None, "running")]
    compiled = _Programs()
    for run in whole:
        try:
            found += gates_of(journal, run, compiled)
        except (CompileError, JournalError) as problem:
            unreadable(run, problem)
    return _by_age(found)


def gates_of(
    journal: Journal, run: str, compiled: Callable[[RunRecord], Program] = compile_record
) -> list[dict[str, Any]]:
    """The open gates of a run, from all of its events; as `gates_of_all` gives them."""
    record, state = load_run(journal, run, compiled)
    if state.ended:
        return []
    about_run = {"run": run, "workflow": record.workflow}
    return _by_age([{**about_run, **gate} for gate in gate_reports(state)])


def _by_age(gates: Collection[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(gates, key=lambda gate: gate["opened_ms"] or 0)


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
