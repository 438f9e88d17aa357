"""Runs loaded from a journal: the program from the texts that it keeps, the state as a fold.

A run may be looked at before it is claimed, and be driven on from what was seen then: `Loaded`
says up to which event that was, so nothing is folded twice. Writes nothing and claims nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from engine.diagnostics import RULES
from engine.drive.gc_pause import unhurried_collector
from engine.errors import CompileError, JournalError
from engine.events import Event, RunForked, RunResumed, RunRetried
from engine.journal import Journal, RunRecord
from engine.runtime.machine import fold, step
from engine.runtime.state import RunState
from engine.sema.check import CheckResult, check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader

__all__ = ["Loaded", "check_record", "compile_record", "load", "load_on", "load_run"]


def check_record(record: RunRecord) -> CheckResult:
    """Check the program of a run, from the texts its journal keeps."""
    path = os.path.normpath(os.path.join(record.cwd, record.workflow))
    reader = MemoryReader(record.files, os.path.dirname(path), with_python=False)
    return check_file(path, params=record.params, reader=reader, env={})


def compile_record(record: RunRecord, checked: CheckResult | None = None) -> Program:
    """The program a run began with, from the texts its journal keeps.

    A run that has started is not refused for an error that a comment could allow. It was admitted
    when it began, maybe by an engine with fewer rules, and an update must not strand it. Python
    modules are not looked at: they are not part of the journal, may have changed, and need not be
    on the machine that drives the run.

    Args:
        checked: What `check_record` gave, where that is known already.

    Raises:
        CompileError: It has errors with this version.
    """
    result = check_record(record) if checked is None else checked
    errors = (item for item in result.diagnostics if item.severity == "error")
    wrong = [item for item in errors if not RULES[item.code].allowable]
    if wrong:
        raise CompileError(wrong)
    return msgspec.structs.replace(result.partial, path=record.workflow)


def load_run(
    journal: Journal, run: str, compiled: Callable[[RunRecord], Program] = compile_record
) -> tuple[RunRecord, RunState]:
    """A run as its journal tells it.

    Args:
        run: The run's id, an unambiguous beginning of it, or `last`.
        compiled: Gives the program of a record, for who loads many runs of one program.

    Raises:
        JournalError: There is no such run, or the journal cannot be read.
    """
    record = journal.record(journal.find(run))
    _, state = _folded(journal, record.run, compiled(record))
    return record, state


def _folded(journal: Journal, run: str, program: Program) -> tuple[int, RunState]:
    """How many events a run has, and its state after them."""
    # As in a drive, nearly everything that is made lives on: looking for cycles finds none.
    with unhurried_collector():
        events = journal.read(run)
        if not events:
            raise JournalError(f"run {run} has no events: it ended before it began")
        return len(events), fold(program, events)


@dataclass
class Loaded:
    """A run as its journal tells it up to some event; whoever claims the run folds on from there.

    Attributes:
        record: What was entered for it.
        state: The fold of its events.
        seq: The number of the last of them.
    """

    record: RunRecord
    state: RunState
    seq: int

    def advance(self, events: Sequence[Event]) -> None:
        """Fold what the journal has after `seq`."""
        for event in events:
            step(self.state, event)
        self.seq += len(events)


def load(journal: Journal, record: RunRecord) -> Loaded:
    """What `load_run` gives, with what is needed to fold on later.

    Args:
        record: What was entered for the run.
    """
    seq, state = _folded(journal, record.run, compile_record(record))
    return Loaded(record, state, seq)


def load_on(journal: Journal, run: str, seen: Loaded | None) -> Loaded:
    """The run as it is now that it is claimed: only what is new since it was seen is read.

    A run that has been given another program since then is folded again: its first events have to
    be folded with that one.
    """
    record = journal.record(run)
    if seen is None:
        return load(journal, record)
    events = journal.read(run, after=seen.seq)
    programs = (record.files, record.params, record.cwd, record.workflow)
    before = (seen.record.files, seen.record.params, seen.record.cwd, seen.record.workflow)
    if programs != before or any(map(_brings_program, events)):
        return load(journal, record)
    seen.advance(events)
    return replace(seen, record=record)


def _brings_program(event: Event) -> bool:
    return isinstance(event, (RunResumed, RunForked, RunRetried)) and bool(event.program)
