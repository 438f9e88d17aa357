"""The table of commands, and the one place where an exception becomes a message and a code.

A command's module is imported only when the command runs: the table holds the help line too, so
`orch --help` imports none of them. Nothing a command raises reaches the terminal as a traceback.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from engine.cli.exit_codes import CommandError, Exit
from engine.cli.output import echo, error, report
from engine.drive.guard import redactor_for
from engine.errors import (
    CompileError,
    ConfigError,
    InputError,
    InternalError,
    JournalError,
    OrchError,
    UnreadableFile,
)
from engine.own import own_module
from engine.redaction import Redactor, bound, current
from engine.sema.suggest import closest
from engine.version import __version__

__all__ = ["COMMANDS", "leave", "run"]

#: The errors of a full disk.
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

#: Each command: the module that holds it (as `command`), and its line in `orch --help`.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("engine.cli.commands.init", "Create a project with a workflow that runs at once."),
    "lint": ("engine.cli.commands.lint", "Check files without running anything."),
    "fmt": ("engine.cli.commands.fmt", "Format files in the standard style."),
    "lsp": ("engine.cli.commands.lsp", "Serve editors: diagnostics, completion, go to definition."),
    "explain": ("engine.cli.commands.explain", "Explain a rule by its code."),
    "graph": ("engine.cli.commands.graph", "Draw a workflow: mermaid, dot, json or svg."),
    "doc": ("engine.cli.commands.doc", "Write the reference page of a workflow."),
    "schema": ("engine.cli.commands.schema", "Print the JSON Schema of inputs and outputs."),
    "kinds": (
        "engine.cli.commands.kinds",
        "List the kinds of workers: built in, and from packages.",
    ),
    "models": (
        "engine.cli.commands.models",
        "List the models of a file, or check what works when they are asked.",
    ),
    "completion": ("engine.cli.commands.completion", "Print a script for shell completion."),
    "test": ("engine.cli.commands.test", "Run the tests of files: offline, with mocked workers."),
    "mcp": ("engine.cli.commands.mcp", "Snapshot the tools of MCP servers and report changes."),
    "run": ("engine.cli.commands.run", "Run a workflow."),
    "plan": ("engine.cli.commands.plan", "Print what a plan would start and cost."),
    "runs": ("engine.cli.commands.runs", "List the runs in the journal."),
    "show": ("engine.cli.commands.show", "Show a run: its rounds, tasks, failures and cost."),
    "resume": ("engine.cli.commands.resume", "Resume an interrupted run."),
    "diff": ("engine.cli.commands.diff", "Show the differences between two runs."),
    "tail": ("engine.cli.commands.tail", "Follow the events of a run."),
    "export": ("engine.cli.commands.export", "Write the events of a run as JSON lines."),
    "distill": ("engine.cli.commands.distill", "Print a run as a plan: a `via plan` worker."),
    "replay": (
        "engine.cli.commands.replay",
        "Replay a run from its journal and report divergences.",
    ),
    "tell": ("engine.cli.commands.tell", "Tell a run's planner something."),
    "cancel": ("engine.cli.commands.cancel", "Cancel a run."),
    "gates": ("engine.cli.commands.gates", "List the open gates of runs."),
    "approve": ("engine.cli.commands.approve", "Approve a gate and resume the run."),
    "reject": ("engine.cli.commands.reject", "Reject a gate and resume the run."),
    "journal": ("engine.cli.commands.journal", "Trust a journal from elsewhere."),
    "worker": ("engine.cli.commands.worker", "Serve runs on a Temporal cluster."),
}


class _Commands(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = own_module(COMMANDS[cmd_name][0]).command
        if ctx.obj is not None:
            ctx.obj()
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = closest(name, COMMANDS)
            hint = f" Did you mean '{near}'?" if near else ""
            raise click.UsageError(f"No such command '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`orch COMMAND --help` describes one command.",
)
@click.version_option(__version__, "-V", "--version", message="orch %(version)s")
def _orch() -> None:
    """Write, check, draw and run orchestrator-workers workflows."""


def run(arguments: list[str], imported: Callable[[], None] | None = None) -> int:
    """Run one command line and return its exit code. Raises nothing.

    Args:
        imported: Called when everything that the command needs is imported.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Closed by whoever started us (`2>&-`): without this the next file that is opened
            # would get its descriptor, and what is said would be written into it.
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for the whole process
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets an escape instead of an exception.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        with bound(Redactor({})):  # what one command knows is not the next one's
            code = _guarded(arguments, imported)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python would try to flush once more at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE
    except OSError as problem:  # the flush: a full disk behind `> file`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _unwritable(problem)


def leave(code: int) -> NoReturn:
    """End the process here, without taking the interpreter down.

    Freeing every object that was imported or made takes 30 ms of CPU, a fifth of `orch lint`, and
    the system frees them at once. It would also wait for threads of user code: a function that
    hung in a thread pool has been given up long since, but pools are joined at exit. And a thread
    of Temporal's core that comes back while the interpreter ends would crash it.

    What has to be done at the end is done: functions of `atexit` are called, streams flushed.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _guarded(arguments: list[str], imported: Callable[[], None] | None) -> int:
    if os.environ.get("_ORCH_COMPLETE"):
        _orch.main(arguments, prog_name="orch")  # a shell asks for completions
    try:
        # Not `Group.main`: it would turn Ctrl-C and a closed pipe into exit code 1.
        with _orch.make_context("orch", arguments, obj=imported) as context:
            result: Any = _orch.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        error("interrupted")
        return Exit.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as problem:
        echo(problem.ctx.get_help() if problem.ctx else "", err=True)
        return Exit.USAGE
    except click.UsageError as problem:
        if problem.ctx is not None:
            echo(problem.ctx.get_usage(), err=True)
        error(problem.format_message())
        return Exit.USAGE
    except click.ClickException as problem:
        error(problem.format_message())
        return Exit.USAGE
    except CommandError as problem:
        error(str(problem), help=problem.help)
        return problem.exit
    except CompileError as problem:
        report(problem.diagnostics)
        return Exit.UNREADABLE
    except (UnreadableFile, JournalError) as problem:
        error(str(problem), help=problem.help)
        return Exit.UNREADABLE
    except ConfigError as problem:
        error(str(problem), help=problem.help)
        return Exit.USAGE
    except InputError as problem:
        for line in problem.problems:
            error(line)
        return Exit.USAGE
    except BrokenPipeError:
        raise
    except OSError as problem:
        # Files of the user's are named by whoever opens them; the rest is standard output.
        return _unwritable(problem) if problem.errno in _UNWRITABLE else _crashed(problem)
    except Exception as problem:
        if isinstance(problem, OrchError) and not isinstance(problem, InternalError):
            error(str(problem))
            return Exit.USAGE
        return _crashed(problem)
    return result if isinstance(result, int) else Exit.OK


def _unwritable(problem: OSError) -> int:
    """Say that the result could not be written."""
    reason = (problem.strerror or str(problem)).lower()
    error(f"standard output cannot be written: {reason}")
    return Exit.UNREADABLE


def _crashed(problem: Exception) -> int:
    """Say that the engine has a bug, and where the traceback is."""
    # 6 ms of CPU, and only a crash needs them.
    import tempfile
    import traceback

    redactor = redactor_for(current().names)
    text = redactor.text("".join(traceback.format_exception(problem)))
    if os.environ.get("ORCH_DEBUG"):
        echo(text, err=True, nl=False)
        help = None
    else:
        try:
            number, path = tempfile.mkstemp(prefix="orch-crash-", suffix=".log")
            with open(number, "w", encoding="utf-8", errors="backslashreplace") as log:
                log.write(f"orch {__version__}, Python {sys.version}\n{text}")
            help = f"please report this, with {path}"
        except OSError:
            help = "please report this; ORCH_DEBUG=1 shows the traceback"
    summary = redactor.text(str(problem)).splitlines()[0] if str(problem) else ""
    error(f"internal error: {type(problem).__name__}: {summary}".rstrip(": "), help=help)
    return Exit.INTERNAL
