"""The program of a run as its file is now, next to the one the run keeps.

`against` puts the two side by side: what has changed, and what that means for the journal.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from engine.drive.loading import compile_record
from engine.drive.preflight import preflight
from engine.errors import CompileError, InputError, UnreadableFile, UsageError
from engine.events import Event, ModelInfo, RunStarted
from engine.history.changes import Change, changed_files, changes
from engine.history.replay import Replay, replay
from engine.journal import RunRecord
from engine.linter.admission import admit
from engine.sema.check import check_file
from engine.sema.model import Program

__all__ = ["Comparison", "against", "current_program", "file_of", "models_of"]

#: Kinds of declarations that are called; a change of one matters from its first call on.
_CALLED = frozenset({"model", "worker", "verifier"})


class Comparison(msgspec.Struct, frozen=True):
    """A run's journal under a changed program.

    Attributes:
        program: The changed program.
        files: The paths whose text has changed.
        changes: The declarations that have.
        replay: What its replay came to; `touched` is the first call of something changed.
    """

    program: Program
    files: list[str]
    changes: list[Change]
    replay: Replay


def file_of(record: RunRecord) -> str:
    """The absolute path of a run's entry file."""
    return os.path.normpath(os.path.join(record.cwd, record.workflow))


def current_program(record: RunRecord, file: str | None = None, *, to_run: bool = False) -> Program:
    """The program in the file of a run (or in another one), with the params of the run.

    Args:
        to_run: Whether the run is to continue with it, so that the linter's errors count too. A
            replay calls nothing, and shows also what such a program would have done.

    Raises:
        UnreadableFile: There is no such file any more, or it is not text.
        CompileError: It has errors.
        UsageError: The run's params do not fit it.
    """
    path = file_of(record) if file is None else file
    try:
        checked = check_file(path, params=record.params, env={})
    except UnreadableFile:
        raise
    except InputError as error:
        said = "; ".join(error.problems)
        raise UsageError(f"the params of run {record.run} do not fit {path}: {said}") from None
    program = admit(checked) if to_run else checked.program
    if program is None:
        raise CompileError(checked.diagnostics)
    if program.missing_params:
        names = ", ".join(f"`{name}`" for name in program.missing_params)
        raise UsageError(f"run {record.run} has no value for the param {names} of {path}")
    return msgspec.structs.replace(program, path=record.workflow)


def models_of(record: RunRecord, program: Program) -> dict[str, ModelInfo]:
    """What is known of the models a changed program may call in this run.

    Raises:
        UsageError: The program cannot run.
    """
    orchestrator = program.orchestrators.get(record.orchestrator)
    if orchestrator is None:
        return {}
    given = {name: id for name, id in record.models.items() if name in program.models}
    return preflight(program, orchestrator, given)


def against(record: RunRecord, events: Sequence[Event], program: Program) -> Comparison:
    """A run's journal under the program it has and under a changed one, in lock step."""
    recorded = compile_record(record)
    found = changes(recorded, program)
    watched = frozenset(change.name for change in found if change.kind in _CALLED)
    known = events[0].models if events and isinstance(events[0], RunStarted) else {}
    new = {n: info for n, info in models_of(record, program).items() if n not in known}
    result = replay(program, events, recorded=recorded, models=new, watched=watched)
    return Comparison(program, changed_files(record.files, program.files), found, result)
