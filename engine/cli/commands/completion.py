"""`orch completion`: the script that makes a shell complete orch's command lines.

The script asks orch itself at each press of the key (`_ORCH_COMPLETE`, which click answers), so
it never goes out of date. What can be completed besides names of commands and options is in
`engine.cli.complete`.
"""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class

from engine.cli.exit_codes import CommandError, Exit
from engine.cli.output import echo

__all__ = ["command"]

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.pass_context
def command(ctx: click.Context, shell: str | None) -> int:
    """Print a script that completes command lines in SHELL (default: your shell).

    \b
    bash:  orch completion bash > ~/.local/share/bash-completion/completions/orch
    zsh:   orch completion zsh > "${fpath[1]}/_orch"
    fish:  orch completion fish > ~/.config/fish/completions/orch.fish

    Exit codes: 0 printed; 2 usage.
    """
    if shell is None:
        shell = os.path.basename(os.environ.get("SHELL", ""))
        if shell not in _SHELLS:
            known = ", ".join(_SHELLS)
            raise CommandError(
                "which shell? $SHELL names none that is known",
                Exit.USAGE,
                help=f"name one: {known}",
            )
    made = get_completion_class(shell)
    assert made is not None  # click has the three of them
    echo(made(ctx.find_root().command, {}, "orch", "_ORCH_COMPLETE").source())
    return Exit.OK
