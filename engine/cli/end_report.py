"""Reports the end of a run: the result on standard output, the rest on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import IO, Any

from engine.cli.exit_codes import Exit
from engine.cli.failure_text import end_drawn, failures_drawn
from engine.cli.format_values import one_line, pretty, totals
from engine.cli.journals import command_line
from engine.cli.output import echo, error, use_color, warn
from engine.cli.source_text import tainted_text
from engine.cli.task_names import typed
from engine.events import RunStatus
from engine.printable import printable
from engine.runtime.questions import SHOWN_BYTES
from engine.runtime.report import partial_tasks, run_report
from engine.runtime.state import RunState
from engine.sizes import beginning, roughly, size_of, size_words

__all__ = ["EXITS", "note", "tell_end", "write_report", "write_value"]

#: The exit code for each way a run can end (or wait).
EXITS: dict[RunStatus, Exit] = {
    "finished": Exit.OK,
    "failed": Exit.FINDINGS,
    "exhausted": Exit.EXHAUSTED,
    "waiting": Exit.WAITING,
    "aborted": Exit.ABORTED,
    "cancelled": Exit.CANCELLED,
}


def write_value(value: Any, stream: IO[str]) -> None:
    """Write a result for a person or a pipe: a string as it is, anything else as JSON."""
    text = pretty(value)
    if stream.isatty():
        text = printable(text)
    stream.write(text if text.endswith("\n") else f"{text}\n")
    stream.flush()


def write_report(report: Mapping[str, Any], stream: IO[str]) -> None:
    """Write one JSON object, in ASCII, so that no terminal and no encoding can change it."""
    json.dump(report, stream, indent=2)  # piece by piece: its text may be larger than all it holds
    stream.write("\n")
    stream.flush()


def note(line: str, *, tone: str = "", color: str | None = None) -> None:
    """Write a line about the run to standard error."""
    line = printable(line)
    code = {"good": "\x1b[32m", "bad": "\x1b[31m"}.get(tone)
    if code is not None and use_color(sys.stderr, color):
        line = f"{code}{line}\x1b[0m"
    echo(line, err=True, painted=True)


def tell_end(
    state: RunState,
    stream: IO[str],
    *,
    style: str,
    quiet: bool = False,
    color: str | None = None,
    full: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the result (or the best partial one) of a run that has ended, and say how it ended.

    Args:
        state: The run.
        stream: Where the result goes.
        style: `text` or `json`.
        quiet: Say nothing of a run that has finished.
        color: What `--color` says.
        full: Give a partial result whole, however large.
        extra: What the JSON object says besides the run's report.
    """
    report = {**run_report(state), "partial_left_out": None}
    finished = state.status == "finished"
    result = report["output"] if finished else report["partial"]
    for warning in state.warnings:
        (error if warning in state.unplayed else warn)(one_line(warning, 400))
    if not finished or not quiet:
        said = [state.status, state.bound or "", one_line(report["reason"], 600)]
        if report["escalated"]:
            said.insert(1, "escalated")
        line = ": ".join(part for part in said if part)
        note(line, tone="good" if finished else "bad", color=color)
        for drawn in (end_drawn(state, color), failures_drawn(state, color)):
            if drawn:
                echo(drawn, err=True, painted=True)
    if not quiet:
        note(totals(report))
        if report["tainted"]:
            note(tainted_text(report), tone="bad", color=color)
        if not finished and result is not None and style == "text":
            note("the best partial result:")
    left_out = None
    if not finished and not full and size_of(result, SHOWN_BYTES) > SHOWN_BYTES:
        left_out = _left_out(state)
        report.update(partial=None, partial_left_out=left_out)
    if style == "json":
        write_report({**report, **(extra or {})}, stream)
    elif left_out is not None:
        write_value(beginning(result, SHOWN_BYTES), stream)
    elif finished or result is not None:
        write_value(result, stream)
    if left_out is not None:
        note(_how_to_see(state.run, left_out, style, (extra or {}).get("journal")))


def _left_out(state: RunState) -> dict[str, Any]:
    """What is said of a partial result that is too large to be printed."""
    loop = state.loop
    return {"bytes": size_of(loop.best), "tasks": partial_tasks(loop)}


def _how_to_see(run: str, left_out: Mapping[str, Any], style: str, directory: str | None) -> str:
    size, tasks = roughly(left_out["bytes"]), left_out["tasks"]
    what = "left out" if style == "json" else f"cut after {size_words(SHOWN_BYTES)}"
    said = f"the partial result takes {size} and is {what}; "
    if directory is None:
        return said + "--full prints it whole"
    if not tasks:
        return said + f"the whole: {command_line('show', run, directory, '--full')}"
    which = f" (also {', '.join(tasks[1:])})" if tasks[1:] else ""
    return (
        said
        + f"the whole: {command_line('show', run, directory, '--task', typed(tasks[0]))}{which}"
    )
