"""`orch init`: begin a project."""

from __future__ import annotations

import os
import shlex

import click

from engine.cli.exit_codes import CommandError, Exit
from engine.cli.output import echo
from engine.scaffold import name_for, starter_files, write_files

__all__ = ["command"]


@click.command("init")
@click.argument("folder", default=".", metavar="[FOLDER]")
@click.option("--name", help="The name of the workflow.  [default: from the name of the folder]")
def command(folder: str, name: str | None) -> int:
    """Create a small workflow in FOLDER that lints, tests and runs at once, without a key.

    No file is overwritten.

    Exit codes: 0 written; 2 usage, or a file exists already; 3 the folder cannot be written.
    """
    chosen = name_for(folder) if name is None else name
    files = starter_files(chosen)
    try:
        write_files(folder, files)
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise CommandError(f"cannot write into {folder}: {reason}", Exit.UNREADABLE) from None
    for path in files:
        echo(f"wrote {os.path.normpath(os.path.join(folder, path))}", err=True)
    if os.path.realpath(folder) != os.getcwd():
        echo(f"\ncd {shlex.quote(folder)}", err=True)
    echo(f"orch lint {chosen}.orch\norch test {chosen}.orch\norch run {chosen}.orch", err=True)
    return Exit.OK
