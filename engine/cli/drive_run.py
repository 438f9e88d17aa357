"""Drives a run for `orch run` and `orch resume`: shows it, handles interrupts, reports its end.

Both commands end in `carry_out`, so they print the same messages and return the same codes. While
the run is active, only the result can reach standard output: the output of user code goes to
standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

import click

from engine.cli.end_report import EXITS, note, tell_end, write_report
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.gate_text import tell_questions
from engine.cli.journals import resume_command
from engine.cli.options import color_option, pairs
from engine.cli.output import error, use_color
from engine.cli.plain_view import PlainWatch, SilentWatch, Watch
from engine.cli.signals import Interrupted, run_interruptible
from engine.drive.driver import Driver
from engine.drive.launch import Options
from engine.errors import JournalError
from engine.events import Event
from engine.runtime.report import run_report
from engine.runtime.state import RunState
from engine.workers.output import reserved_stdout

__all__ = ["RunOptions", "carry_out", "show_cursor", "watch_for", "with_run_options"]

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class RunOptions:
    """The options of each command that drives a run.

    Attributes:
        style: `text` or `json`: how the result is printed.
        quiet: Print only errors on standard error.
        color: `always`, `never` or `auto`.
        models: Ids of models, by the names of those that they replace.
        record_dir: Where the answers of models are recorded, or None.
        directory: The journal's folder, or None where the run is kept in memory only.
        full: Print a partial result in full, however large.
        labels: What a new run is labelled with.
    """

    style: str
    quiet: bool
    color: str
    models: Mapping[str, str] = field(default_factory=dict)
    record_dir: str | None = None
    directory: str | None = None
    full: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


def with_run_options(function: _F) -> _F:
    """The options that `run` and `resume` share."""
    for option in reversed(
        (
            click.option(
                "--model",
                "models",
                multiple=True,
                metavar="NAME=ID",
                callback=pairs,
                help="Replace a declared model.",
            ),
            click.option(
                "--record", "record_dir", metavar="DIR", help="Record the answers of the models."
            ),
            click.option(
                "--format",
                "style",
                type=click.Choice(["text", "json"]),
                default="text",
                show_default=True,
                help="Output format.",
            ),
            click.option(
                "--full", is_flag=True, help="Print a partial result in full, however large."
            ),
            click.option("-q", "--quiet", is_flag=True, help="Print only errors."),
            color_option,
        )
    ):
        function = option(function)
    return function


def carry_out(
    work: Callable[[Options], Coroutine[Any, Any, RunState]],
    run_options: RunOptions,
    *,
    extra: Mapping[str, Any],
) -> int:
    """Drive a run to its end and tell it.

    Args:
        work: Starts or resumes the run under the given options.
        run_options: How it is shown, and which models answer.
        extra: What the JSON object says besides the run's report.

    Returns:
        The exit code.

    Raises:
        InputError, UsageError, JournalError: The run cannot begin.
        CommandError: It was interrupted before it began.
    """
    with reserved_stdout() as stream:
        watch = watch_for(quiet=run_options.quiet, color=run_options.color)
        drivers: list[Driver] = []
        began: list[str] = []

        def first(event: Event, state: RunState) -> None:
            if not began:
                began.append(state.run)
                if not run_options.quiet:
                    note(f"run {state.run}")

        options = Options(
            models=run_options.models,
            record_dir=run_options.record_dir,
            labels=run_options.labels,
            observers=[first, *watch.observers],
            on_driver=drivers.append,
        )
        try:
            with watch:
                state = run_interruptible(work(options), show_cursor)
        except Interrupted as stop:
            if not began:
                raise CommandError("interrupted", Exit(stop.code)) from None
            return _cut_short(drivers[0].state, run_options, stream, extra, stop)
        except JournalError as problem:
            if not began:
                raise
            return _cut_short(drivers[0].state, run_options, stream, extra, problem)
        tell_end(
            state,
            stream,
            style=run_options.style,
            quiet=run_options.quiet,
            color=run_options.color,
            full=run_options.full,
            extra=extra,
        )
        if state.status == "waiting" and not run_options.quiet:
            tell_questions(state, run_options.directory)
        # The result is valid, but the author of the script expected a different course.
        return Exit.FINDINGS if state.unplayed else EXITS[state.status]


def watch_for(*, quiet: bool, color: str) -> Watch:
    """What shows a run while it goes.

    Args:
        color: `always`, `never` or `auto`.
    """
    if quiet:
        return SilentWatch()
    colored = use_color(sys.stderr, color)
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        # rich costs 60 to 90 ms to import, and only a terminal can show what it draws.
        from engine.cli.live_view import LiveWatch

        return LiveWatch(sys.stderr, color=colored)
    return PlainWatch(sys.stderr, color=colored)


def _cut_short(
    state: RunState,
    run_options: RunOptions,
    stream: IO[str],
    extra: Mapping[str, Any],
    why: Interrupted | JournalError,
) -> int:
    """Report a run that stopped without an end: it continues from there when it is resumed."""
    if isinstance(why, JournalError):
        error(str(why), help=why.help)
        code, reason = int(Exit.FINDINGS), str(why)
    else:
        code, reason = why.code, f"interrupted by {why}"
    if isinstance(why, JournalError) and not why.resumable:
        note("interrupted", tone="bad", color=run_options.color)
    elif run_options.directory is None:
        note("interrupted; it was not journaled and cannot be resumed", tone="bad")
    else:
        again = resume_command(state.run, run_options.directory)
        note(f"interrupted; resume with: {again}", tone="bad", color=run_options.color)
    if run_options.style == "json":
        report = {**run_report(state), **extra, "status": "interrupted", "reason": reason}
        write_report(report, stream)
    return code


def show_cursor() -> None:
    """Give a terminal its cursor back, which the live view hides."""
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h")
        sys.stderr.flush()
