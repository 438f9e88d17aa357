"""`orch doc`: write the reference page of workflows."""

from __future__ import annotations

import os

import click

from engine.cli import complete
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.files import orch_files
from engine.cli.options import param_option
from engine.cli.output import report, write_result
from engine.doc import page
from engine.errors import UnreadableFile
from engine.sema.check import check_file

__all__ = ["command"]


@click.command("doc")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", shell_complete=complete.files)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="Write to this file; with several FILEs, to this folder.",
)
@param_option
def command(paths: tuple[str, ...], output: str | None, params: dict[str, str]) -> int:
    """Write a reference page for each FILE, in Markdown: contracts, bounds, graph.

    A folder means all *.orch files in it.

    Exit codes: 0 written; 2 usage; 3 something cannot be read or written, or has errors.
    """
    files, unreadable = orch_files(paths)
    folder = output if output is not None and os.path.isdir(output) else None
    if len(files) > 1 and folder is None and output is not None:
        raise click.UsageError(f"several pages need a folder, and {output} is none.")
    targets: dict[str, str] = {}
    for path in files:
        target = output
        if folder is not None:
            stem, _ = os.path.splitext(os.path.basename(path))
            target = os.path.join(folder, f"{stem}.md")
            if target in targets:
                raise CommandError(
                    f"{path} and {targets[target]} would both be written to {target}", Exit.USAGE
                )
            targets[target] = path
        unreadable |= not _write(path, target, params)
    return Exit.UNREADABLE if unreadable else Exit.OK


def _write(path: str, target: str | None, params: dict[str, str]) -> bool:
    try:
        checked = check_file(path, params=params, env={})
    except UnreadableFile as problem:
        raise CommandError(str(problem), Exit.UNREADABLE, help=problem.help) from None
    if checked.program is None:
        report(checked.diagnostics)
        return False
    write_result(page(checked.program), target)
    return True
