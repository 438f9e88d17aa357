"""`orch kinds`: what may follow `via`, and which packages bring it."""

from __future__ import annotations

import json

import click

from engine.cli.exit_codes import Exit
from engine.cli.options import format_option
from engine.cli.output import echo, error
from engine.sema.kinds.registry import BUILT_IN, installed, package_of, problems, usable

__all__ = ["command"]


@click.command("kinds")
@format_option("How to show it.")
def command(style: str) -> int:
    """List the kinds of workers and verifiers: built in, and from installed packages.

    Loads the record of each installed kind, and names the packages whose kinds cannot be used.
    """
    rows = [(name, "built in", kind) for name, kind in BUILT_IN.items()]
    for name, entries in installed().items():
        kind = None if name in BUILT_IN else usable(name)
        if kind is not None:
            rows.append((name, package_of(entries[0]), kind))
    if style == "json":
        echo(
            json.dumps(
                [
                    {
                        "name": name,
                        "from": source,
                        "workers": kind.worker is not None,
                        "verifiers": kind.verifier is not None,
                        "summary": kind.summary,
                    }
                    for name, source, kind in rows
                ]
            )
        )
    else:
        wide = max(len(name) for name, _, _ in rows) + 2
        wider = max(len(source) for _, source, _ in rows) + 2
        for name, source, kind in rows:
            echo(f"{name:{wide}}{source:{wider}}{kind.summary}")
    found = list(problems())
    for problem in found:
        error(problem)
    return Exit.FINDINGS if found else Exit.OK
