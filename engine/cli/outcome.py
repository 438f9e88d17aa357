"""How a run's end is told: the result on standard output, the rest on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import IO, Any

from engine.cli.exits import Exit
from engine.cli.output import echo, error, use_color, warn
from engine.cli.wording import one_line, pretty, totals
from engine.events import RunStatus
from engine.printable import printable
from engine.runtime.report import run_report
from engine.runtime.state import RunState

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
    stream.write(json.dumps(report, indent=2) + "\n")
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
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the result (or the best partial one) of a run that has ended, and say how it ended.

    Args:
        state: The run.
        stream: Where the result goes.
        style: `text` or `json`.
        quiet: Say nothing of a run that has finished.
        color: What `--color` says.
        extra: What the JSON object says besides the run's report.
    """
    report = run_report(state)
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
    if not quiet:
        note(totals(report))
        if not finished and result is not None and style == "text":
            note("the best partial result:")
    if style == "json":
        write_report({**report, **(extra or {})}, stream)
    elif finished or result is not None:
        write_value(result, stream)
