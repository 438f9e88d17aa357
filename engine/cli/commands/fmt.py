"""`orch fmt`: format files in the standard style.

Which files, what is said about them and the exit code are here; the layout itself, in
`engine.formatter`. A file is replaced whole or not at all: one with a syntax error is left alone,
and so is one whose new text would not say the same.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field

import click

from engine.cli.commands.lint_output import diff as unified_diff
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.files import orch_files, rewrite, standard_input
from engine.cli.options import color_option
from engine.cli.output import echo, error, report
from engine.diagnostics import Diagnostic
from engine.errors import CompileError, InternalError, UnreadableFile
from engine.formatter.formatting import format_text
from engine.sema.names.loader import DiskReader, Files

__all__ = ["command"]


@dataclass
class _Outcome:
    """The results of the files so far."""

    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    faults: list[Diagnostic] = field(default_factory=list)
    exit: Exit = Exit.OK

    def fail(self, exit: Exit) -> None:
        self.failed += 1
        self.exit = max(self.exit, exit)

    def summary(self, *, would: bool) -> str:
        """`3 files reformatted, 5 files left unchanged`."""
        verb = "would be reformatted" if would else "reformatted"
        stays = "already formatted" if would else "left unchanged"
        told = [(self.changed, verb), (self.unchanged, stays), (self.failed, "not formatted")]
        return ", ".join(f"{_files(count)} {words}" for count, words in told if count)


@click.command("fmt")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--check", is_flag=True, help="List the files that would change; write nothing.")
@click.option("--diff", is_flag=True, help="Show what would change; write nothing.")
@click.option(
    "--stdin-filename",
    metavar="PATH",
    default="stdin.orch",
    help="The name of the text read from - in messages.",
)
@color_option
def command(
    paths: tuple[str, ...], check: bool, diff: bool, stdin_filename: str, color: str
) -> int:
    """Format files, or all *.orch files in folders; by default in the current folder.

    PATH may be - for standard input; the result goes to standard output.

    Exit codes: 0 all files are formatted; 1 --check or --diff found changes; 2 usage;
    3 a file has a syntax error, or cannot be read or written.
    """
    if "-" in paths and len(paths) > 1:
        raise click.UsageError("- must be the only file: standard input is one file")
    piped = paths == ("-",)
    files, unreadable = orch_files(paths or (".",))
    outcome = _Outcome(exit=Exit.UNREADABLE if unreadable else Exit.OK)
    for path in files:
        try:
            name = stdin_filename if piped else path
            old = standard_input(name) if piped else _read(path)
            new = format_text(old, name)
            if new != old and diff:
                echo(unified_diff(name, old, new), nl=False)
            elif new != old and check:
                echo(f"would reformat {name}")
            elif piped and not (check or diff):
                # As bytes: the line ends are the text's own.
                sys.stdout.buffer.write(new.encode())
            elif new != old:
                rewrite(path, old, new)
        except CompileError as problem:
            outcome.faults += problem.diagnostics
            outcome.fail(Exit.UNREADABLE)
        except UnreadableFile as problem:
            error(str(problem), help=problem.help)
            outcome.fail(Exit.UNREADABLE)
        except CommandError as problem:
            error(str(problem), help=problem.help)
            outcome.fail(problem.exit)
        except InternalError as problem:
            error(
                f"internal error: {problem}",
                help="this is a bug in orch; the file was left alone: please report it, with it",
            )
            outcome.fail(Exit.INTERNAL)
        else:
            outcome.changed += new != old
            outcome.unchanged += new == old
    return _end(outcome, color, would=check or diff, quiet=piped)


def _end(outcome: _Outcome, color: str, *, would: bool, quiet: bool) -> int:
    """Print the summary, and return the exit code."""
    if outcome.faults:
        report(outcome.faults, color)
    summary = outcome.summary(would=would)
    if summary and not quiet:
        echo(summary, err=True)
    if outcome.exit is Exit.OK and would and outcome.changed:
        return Exit.FINDINGS
    return outcome.exit


def _read(path: str) -> str:
    folder = os.path.dirname(path)
    return Files(DiskReader(), os.path.abspath(folder), folder).entry(path)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
