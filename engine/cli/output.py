"""How commands speak: errors and diagnostics to stderr, the colour question, writing a result.

The result of a command goes to stdout, alone; everything said about it goes to stderr.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import IO

import click

from engine.cli.exit_codes import CommandError, Exit
from engine.diagnostics import Diagnostic, render_terminal
from engine.printable import printable
from engine.redaction import current

__all__ = ["echo", "error", "report", "screen_width", "use_color", "warn", "write_result"]


def use_color(stream: IO[str], choice: str | None = None) -> bool:
    """Whether to write colours to a stream.

    `choice` is what `--color` says: `always`, `never`, or `auto` (also None) for a terminal
    only, unless `NO_COLOR` is set or the terminal is `dumb`.
    """
    if choice == "always":
        return True
    if choice == "never" or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def screen_width(stream: IO[str]) -> int:
    """Columns that text for a stream may use: the terminal's, or 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns if stream.isatty() else 100


def error(message: str, *, help: str | None = None) -> None:
    """Write `error: message` to stderr, and a help line."""
    _say("error", "\x1b[1;31m", message, help)


def warn(message: str, *, help: str | None = None) -> None:
    """Write `warning: message` to stderr, and a help line."""
    _say("warning", "\x1b[1;33m", message, help)


def _say(word: str, tone: str, message: str, help: str | None) -> None:
    shown = f"{tone}{word}\x1b[0m" if use_color(sys.stderr) else word
    clean = current().text
    echo(f"{shown}: {printable(clean(message))}", err=True, painted=True)
    if help:
        echo(f"  help: {printable(clean(help))}", err=True)


def echo(text: str, *, err: bool = False, nl: bool = True, painted: bool = False) -> None:
    """Write text to stdout or stderr: as it is into a file or a pipe, printable on a terminal.

    Args:
        text: What to write.
        err: Whether to stderr.
        nl: Whether to end the line.
        painted: Whether it may have our colours; what is from outside in it is printable.
    """
    stream = sys.stderr if err else sys.stdout
    # A process without a console has none.
    if not painted and stream is not None and stream.isatty():
        text = printable(text)
    # Not for click to decide: it would take what looks like colours out of a text that is piped.
    click.echo(text, err=err, nl=nl, color=True)


def report(found: Sequence[Diagnostic], color: str | None = None) -> None:
    """Write diagnostics to stderr, as text, with a summary line."""
    painted = use_color(sys.stderr, color)
    text = render_terminal.render(found, color=painted, width=screen_width(sys.stderr))
    files = len({item.span.source.path for item in found})
    echo(text, err=True, painted=True)
    echo(render_terminal.summary(found, files, color=painted), err=True, painted=True)


def write_result(text: str, path: str | None) -> None:
    """Write a command's result to stdout, or to a file where `-o` names one."""
    if path is None or path == "-":
        echo(text, nl=not text.endswith("\n"))
        return
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text if text.endswith("\n") else text + "\n")
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise CommandError(f"cannot write {path}: {reason}", Exit.UNREADABLE) from None
