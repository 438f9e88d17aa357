"""`orch lsp`: the language server, on stdin and stdout."""

from __future__ import annotations

import click

from engine.cli.exit_codes import CommandError, Exit

__all__ = ["command"]


@click.command("lsp")
@click.option("--stdio", is_flag=True, help="Accepted for editors that always pass it.")
def command(stdio: bool) -> int:
    """Serve the Language Server Protocol on stdin and stdout, for an editor.

    Needs the extra: pip install 'orch-engine[lsp]'.

    Exit codes: 0 ended by the editor; 1 the connection was lost; 2 usage, or no extra.
    """
    del stdio
    try:
        # 0.5 s to import, and an extra.
        from engine.lsp.server import serve
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise CommandError(
            "`orch lsp` needs an extra that is not installed",
            Exit.USAGE,
            help="pip install 'orch-engine[lsp]'",
        ) from None
    return serve()
