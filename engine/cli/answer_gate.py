"""The shared code of `orch approve` and `orch reject`: find the gate, answer it, drive the run.

If another process drives the run, that process gets the answer instead.

The gate is looked up before the run is claimed, and then identified by its key. So if two people
answer one gate at once, exactly one succeeds, and the other answer never applies to the next gate.
"""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec

from engine import clock
from engine.cli.drive_run import RunOptions, carry_out
from engine.cli.end_report import note, write_report
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.format_values import count
from engine.cli.journals import command_line, find_run, is_remote
from engine.cli.options import utf8
from engine.cli.task_names import task_option, typed
from engine.drive import launch
from engine.drive.answers import Reply, addressed, answers, find_gate, refuse_secrets
from engine.drive.guard import redactor_of
from engine.drive.inbox import hand_over
from engine.drive.launch import Options
from engine.drive.loading import load, load_run
from engine.errors import InputError
from engine.events import GateAnswered
from engine.journal import SqliteJournal
from engine.runtime.report import run_report
from engine.runtime.state import Gate, RunState, Task
from engine.runtime.task_paths import path_in_loop
from engine.sema.plans.selection import MAX_SOURCE, number_text

__all__ = ["answer_gate", "gate_options", "item_numbers", "json_file", "outcome_needed", "who"]

_ITEMS = re.compile(r"(?P<first>[0-9]{1,9}(?:\.[0-9]{1,9})*)(?:-(?P<last>[0-9]{1,9}))?")

_F = TypeVar("_F", bound=Callable[..., Any])


def item_numbers(ctx: click.Context, option: click.Parameter, text: str | None) -> Any:
    """Items, such as `0,3-9`, `1.0,1.2` or their labels, as a list; a click callback."""
    if text is None:
        return None
    found: list[str] = []
    for part in text.split(","):
        match = _ITEMS.fullmatch(part.strip())
        if match is None:
            if not part.strip():
                raise click.BadParameter("an item is missing: write numbers or labels, `0,3-9`")
            found.append(part.strip())
            continue
        first, last = match["first"], match["last"]
        if last is None:
            found.append(first)
            continue
        if "." not in first and int(last) < int(first):
            raise click.BadParameter(f"`{part.strip()}` is backwards: write `{last}-{first}`")
        if "." in first or int(last) - int(first) >= MAX_SOURCE:
            raise click.BadParameter(f"`{part.strip()}` is not a range of items")
        found += map(str, range(int(first), int(last) + 1))
    return found


def gate_options(function: _F) -> _F:
    """`--gate`, `--task`, `--items`, `--note` and `--by`, as both commands take them."""
    for option in reversed(
        (
            click.option("--gate", metavar="KEY", help="Which gate, as `orch gates` names it."),
            click.option(
                "--task",
                metavar="ID",
                callback=task_option,
                help="Which gate, by the task or step it is about; r:7 is the item r[7] alone.",
            ),
            click.option(
                "--items",
                metavar="0,3-9",
                callback=item_numbers,
                help="Which items, by number or label, where the gate lists items of a step; "
                "all by default.",
            ),
            click.option(
                "--note",
                default="",
                metavar="TEXT",
                callback=utf8,
                help="Why; the planner reads it.",
            ),
            click.option(
                "--by", metavar="NAME", callback=utf8, help="Who answers; you by default."
            ),
        )
    ):
        function = option(function)
    return function


def json_file(ctx: click.Context, option: click.Parameter, path: str | None) -> Any:
    """The JSON value in a file, `-` for standard input; a click callback. `...` if not given."""
    if path is None:
        return ...
    name = "standard input" if path == "-" else path
    try:
        with click.open_file(path, "rb") as file:
            data = file.read()
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise InputError([f"{option.opts[0]}: cannot read {name}: {reason}"]) from None
    try:
        return msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError) as problem:
        raise InputError([f"{option.opts[0]}: {name} is not JSON: {problem}"]) from None


def answer_gate(
    run: str,
    run_options: RunOptions,
    gate: str | None,
    task: str | None,
    reply_to: Callable[[Gate], Reply],
) -> int:
    """Answer one gate of a run, and drive the run on as `orch resume` does.

    Args:
        run: The run, as it was typed.
        gate: The gate's key, if it was typed.
        task: The id of its task, if that was typed.
        reply_to: Makes the answer to the gate that is meant.

    Returns:
        The exit code.

    Raises:
        CommandError, UsageError: There is no such gate, or the answer does not fit it.
        JournalError: Another process drives the run and does not accept the answer.
    """
    if gate is not None and task is not None:
        raise click.UsageError("--gate and --task name the same thing: give one of them.")
    assert run_options.directory is not None
    if is_remote(run_options.directory):
        # temporalio costs 450 ms to import.
        from engine.cli.remote import answer_there

        return answer_there(run, run_options, gate if gate is not None else task, reply_to)
    journal = SqliteJournal(run_options.directory)
    try:
        found = find_run(journal, run)
        record = journal.record(found)
        if record.status not in ("running", "waiting"):
            raise CommandError(
                f"run {found} has ended ({record.status}): no gate is open", Exit.USAGE
            )
        seen = load(journal, record)
        state = seen.state
        meant = find_gate(state, gate if gate is not None else task)
        reply = addressed(meant, gate if gate is not None else task, reply_to(meant))
        refuse_secrets(reply, redactor_of(state.program))
        extra = {
            "workflow": record.workflow,
            "orchestrator": record.orchestrator,
            "journal": run_options.directory,
        }

        if record.live:
            (*_, answer) = answers(state, reply, clock.wall_ms())
            fate = hand_over(journal, seen, answer)
            if fate == "refused":
                raise _too_late(journal, found, meant)
            if fate == "taken":
                return _tell_taken(
                    journal, found, extra, quiet=run_options.quiet, style=run_options.style
                )

        async def work(options: Options) -> RunState:
            # Only what has come since is folded: the look above is not repeated.
            return await launch.resume(found, journal, options, reply, seen)

        return carry_out(work, run_options, extra=extra)
    finally:
        journal.close()


def _tell_taken(
    journal: SqliteJournal, run: str, extra: Mapping[str, Any], *, quiet: bool, style: str
) -> int:
    """Say that the process that drives the run continues it: its result appears there."""
    if not quiet:
        note(f"answer accepted; the process driving run {run} continues")
    if style == "json":
        _, state = load_run(journal, run)
        write_report({**run_report(state), **extra}, sys.stdout)
    return Exit.OK


def _too_late(journal: SqliteJournal, run: str, gate: Gate) -> CommandError:
    """What to say where the driving process has refused an answer."""
    given = [
        event
        for event in journal.read(run)
        if isinstance(event, GateAnswered) and event.key == gate.key
    ]
    said = ""
    if given:
        by = f" by {given[0].by}" if given[0].by else ""
        said = f": it was answered already ({given[0].answer}{by})"
    return CommandError(f"gate `{gate.key}` is not open any more{said}", Exit.USAGE)


def who(by: str | None) -> str:
    """The name of who answers: as given, else the login name."""
    if by is not None:
        return by
    try:
        return getpass.getuser().encode(errors="replace").decode()
    except (KeyError, OSError):
        return ""


def outcome_needed(gate: Gate, tasks: list[Task] | None, run: str, directory: str) -> CommandError:
    """The message if the outcome of a `once` task is not given.

    Args:
        gate: The gate that asks for it.
        tasks: The items that the answer is about; None: all that the gate is about.
        run: The run, as it was typed.
        directory: The journal's folder.
    """
    every = tasks or gate.tasks
    one = gate.task if gate.step is None else every[0] if len(every) == 1 else None
    about = one or gate.step
    assert about is not None
    assert about.worker is not None
    name = path_in_loop(about)
    what = f"task {name}" if one is not None else f"{count(len(every), 'item')} of {name}"
    which = ["--task", typed(name)]
    if one is None and tasks is not None:
        which += ["--items", ",".join(number_text(task.number) for task in tasks)]
    again = command_line("approve", run, directory, *which, "--not-done")
    return CommandError(
        f"it is not known whether {what} ({about.worker.name}) was done",
        Exit.USAGE,
        help=f"if it was, say what it gave: --output FILE.json; if not: {again}",
    )
