"""What a journal knows of a run besides its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.events import RunStatus

__all__ = ["EarlierProgram", "RunRecord", "RunSummary"]


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a listing.

    Attributes:
        run: The run's id.
        workflow: Path of the entry file, as the user named it.
        orchestrator: Which orchestrator of it runs.
        started_ms: Wall-clock time of the start, Unix milliseconds.
        status: As of the last event; a run whose process died is still `running`.
        ended_ms: Wall-clock time of the end, or None.
        reason: Why it ended, as in `RunEnded`; `bound` likewise.
        live: Whether a process that is alive drives the run. A run that is `running` and
            not live was interrupted and can be resumed.
        parent: The run it was forked from, or None; it may have been removed since.
        parent_seq: The number of the last event it shares with its parent.
        entered: Its number among the runs of the folder as they were entered, from 1; 0 where that
            is not known.
        trusted: Whether this user made the database that holds it, or trusts it.
        labels: What `--label` gave, by name.
    """

    run: str
    workflow: str
    orchestrator: str
    started_ms: int
    status: RunStatus = "running"
    ended_ms: int | None = None
    reason: str = ""
    bound: str | None = None
    live: bool = False
    parent: str | None = None
    parent_seq: int | None = None
    entered: int = 0
    trusted: bool = True
    labels: Mapping[str, str] = {}


class EarlierProgram(msgspec.Struct, frozen=True):
    """A program that a run had before `orch resume --upgrade` gave it another one.

    Attributes:
        until_ms: Wall-clock time of the change, Unix milliseconds.
        files: Its files by path, with their texts.
    """

    until_ms: int
    files: Mapping[str, str]


class RunRecord(RunSummary, frozen=True, kw_only=True):
    """All that is needed to resume a run, besides its events.

    Attributes:
        files: The program's files by path, with their texts: a run keeps the program it began
            with. The journal stores a text once, however many runs share it.
        earlier: The programs it had before, oldest first, where it was given another one.
        params: What `--param` gave, before defaults.
        models: What `--model` gave: model ids by the model's name.
        cwd: The folder the run was started in.
        engine: The version of the engine that started it.
    """

    files: Mapping[str, str] = {}
    params: Mapping[str, Any] = {}
    models: Mapping[str, str] = {}
    cwd: str = ""
    engine: str = ""
    earlier: tuple[EarlierProgram, ...] = ()
