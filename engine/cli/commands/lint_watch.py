"""`orch lint --watch`: check again whenever a file changes that may matter, until Ctrl-C.

Watched are the folders that were named and those of every file that a program reads, with what is
below them: imports, templates, schemas, configuration, the Python modules that are called. The
folders are watched before the files are read, so no change falls between.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from watchfiles._rust_notify import RustNotify

from engine.cli.commands.lint import Checked, Request, check_files, show
from engine.cli.exit_codes import Exit
from engine.cli.files import subfolders
from engine.cli.output import echo, error
from engine.errors import ConfigError

__all__ = ["watch_files"]

#: What programs, their templates, schemas and functions are written in.
_ENDINGS = (".orch", ".j2", ".jinja", ".json", ".md", ".py", ".toml", ".txt")

#: Changes within this time belong together: an editor writes, renames and touches.
_TOGETHER_MS = 50

#: More folders than this are not watched: the user has named a whole disk.
_MOST_FOLDERS = 2_000

#: Empties a terminal, and what it keeps above the screen.
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def watch_files(request: Request) -> int:
    """Check, show, wait for a change, and again, until Ctrl-C."""
    try:
        folders = _folders(request, ())
        while True:
            # `watchfiles.watch` begins to watch when it is asked for the first change; what it
            # is made of begins at once.
            with RustNotify(sorted(folders), False, False, 300, False, True) as notifier:
                while True:
                    result, problem = _check(request)
                    files = {file for linted in result.linted.values() for file in linted.files}
                    needed = _folders(request, files)
                    if not needed <= folders:
                        break
                    _show(request, result, problem)
                    while not _matters(_changes(notifier), files):
                        pass
            folders = needed
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _check(request: Request) -> tuple[Checked, ConfigError | None]:
    """What is found now, or why nothing could be: a configuration that is being edited."""
    try:
        return check_files(request), None
    except ConfigError as problem:
        return Checked(), problem


def _show(request: Request, result: Checked, problem: ConfigError | None) -> None:
    if sys.stdout.isatty():
        echo(_CLEAR, nl=False, painted=True)
    if problem is not None:
        error(str(problem), help=problem.help)
    else:
        show(request, result)
    echo("waiting for changes; Ctrl-C ends", err=True)
    sys.stdout.flush()


def _changes(notifier: RustNotify) -> Iterable[str]:
    """The paths that have changed, once some have."""
    changes = notifier.watch(10 * _TOGETHER_MS, _TOGETHER_MS, 0, None)
    if isinstance(changes, str):
        raise KeyboardInterrupt
    return [path for _, path in changes]


def _matters(changed: Iterable[str], files: set[str]) -> bool:
    """Whether a change can make a difference; a new folder may bring files."""
    return any(
        path in files or path.endswith(_ENDINGS) or os.path.isdir(path)
        for path in changed
        if path in files or not os.path.basename(path).startswith(".")
    )


def _folders(request: Request, files: Iterable[str]) -> set[str]:
    """The folders to watch, by what was named and what was read; those that exist."""
    tops = {os.path.abspath(path) for path in request.paths}
    tops = {path if os.path.isdir(path) else os.path.dirname(path) for path in tops}
    found: set[str] = set()
    for top in [*tops, *(os.path.dirname(file) for file in files)]:
        if top not in found:
            for folder, _ in subfolders(top):
                found.add(folder)
                if len(found) >= _MOST_FOLDERS:
                    return found
    return found
