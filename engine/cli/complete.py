"""What a shell can complete besides commands and options: files, runs, names, rules.

Called while a person waits for a key press, and in any folder: whatever goes wrong, there is
just nothing to complete.
"""

from __future__ import annotations

import contextlib
import os

import click
from click.shell_completion import CompletionItem

__all__ = ["files", "models", "orchestrators", "rules", "runs"]

#: The newest runs are the most likely ones.
_MOST_RUNS = 50


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, which the shell looks up by itself."""
    return [CompletionItem(incomplete, type="file")]


def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of runs with their status, newest first, and `last`."""
    # The journal is imported where it is asked for: 20 ms.
    from engine.cli.journals import DEFAULT_DIRECTORY
    from engine.errors import OrchError
    from engine.journal import SqliteJournal
    from engine.journal.listing import shown_status

    given = ctx.params.get("directory") or os.environ.get("ORCH_JOURNAL")
    found: list[CompletionItem] = []
    with contextlib.suppress(OrchError, OSError):
        journal = SqliteJournal(given or DEFAULT_DIRECTORY)
        found = [
            CompletionItem(run.run, help=f"{run.orchestrator}, {shown_status(run)}")
            for run in journal.runs(limit=_MOST_RUNS)
        ]
    return [
        item
        for item in (CompletionItem("last", help="the newest run"), *found)
        if item.value.startswith(incomplete)
    ]


def orchestrators(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of the orchestrators of the file that was named."""
    return _declared(ctx.params.get("file"), incomplete, "OrchestratorDecl")


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """A file, then the names of its models."""
    given = ctx.params.get("given") or ()
    if not given:
        return files(ctx, param, incomplete)
    return _declared(given[0], incomplete, "ModelDecl")


def _declared(path: str | None, incomplete: str, kind: str) -> list[CompletionItem]:
    """Names of what a file declares of one kind."""
    # The parser is imported where a file is read: 60 ms.
    from engine.sema.names.loader import CannotRead, DiskReader
    from engine.source import SourceFile
    from engine.syntax import ast
    from engine.syntax.parser import parse

    text = ""
    with contextlib.suppress(CannotRead):
        text = DiskReader().read(path or os.devnull)
    document, _ = parse(SourceFile(path or "", text))
    return [
        CompletionItem(node.name.text)
        for node in document.declarations
        if isinstance(node, getattr(ast, kind)) and node.name.text.startswith(incomplete)
    ]


def rules(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes of rules."""
    from engine.diagnostics import RULES

    return [
        CompletionItem(code, help=rule.name)
        for code, rule in RULES.items()
        if code.startswith(incomplete.upper())
    ]
