"""The command line, `orch`: one file per command, no logic of its own.

This module holds only the entry point. `orch --version` is answered here, before click and the
commands' table are imported; everything else is in `engine.cli.app`.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence

from engine.version import __version__

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments after the program's name; those of the process by default.

    Returns:
        The exit code, one of `engine.cli.exit_codes.Exit`. No exception leaves this function.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["--version"], ["-V"]):
        # Where this cannot be written, the rest below says so.
        with contextlib.suppress(OSError):
            print(f"orch {__version__}", flush=True)  # noqa: T201
            return 0
    try:
        if argv is None:
            # The process is ours. What is imported lives until its end: no collection frees any.
            gc.disable()
        # click costs 40 ms, two thirds of what `orch --version` may take in all.
        from engine.cli.app import leave, run

        code = run(arguments, None if argv is not None else _collect_again)
        if argv is None:
            leave(code)
        return code
    except KeyboardInterrupt:  # while modules were still being imported, or at the very end
        return 130


def _collect_again() -> None:
    """Collect garbage from here on, and never look at what was imported: 10 ms of CPU at least."""
    gc.freeze()
    gc.enable()
