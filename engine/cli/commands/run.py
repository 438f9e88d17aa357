"""`orch run`: run a workflow; its result on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
import msgspec

from engine.cli import complete
from engine.cli.checked import check_with_params
from engine.cli.drive_run import RunOptions, carry_out, with_run_options
from engine.cli.exit_codes import Exit
from engine.cli.journals import is_remote, journal_option
from engine.cli.options import label_option, param_option
from engine.cli.output import report
from engine.drive import launch
from engine.drive.guard import refuse_given
from engine.drive.launch import Options
from engine.errors import CompileError, InputError
from engine.journal import MemoryJournal, SqliteJournal
from engine.linter.admission import admit
from engine.redaction import current
from engine.runtime.inputs import typed_inputs
from engine.runtime.state import RunState
from engine.sema.settings.params import environment_name
from engine.sema.types.contract import Contract
from engine.sizes import size_words

__all__ = ["command"]

#: How many times the size of the inputs a file may have, for indentation and similar.
_RAW_TIMES = 4


def _inputs(
    ctx: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> list[tuple[str, str]]:
    """`-i key=value`, in order; a click callback."""
    found: dict[str, str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"'{item}' is not of the form NAME=VALUE.", ctx, option)
        if key in found:
            raise click.BadParameter(f"'{key}' is given twice.", ctx, option)
        try:
            item.encode()
        except UnicodeEncodeError:
            raise click.BadParameter(f"the value of '{key}' is not UTF-8.", ctx, option) from None
        found[key] = value
    return list(found.items())


@click.command("run")
@click.argument("file", metavar="FILE", shell_complete=complete.files)
@click.argument(
    "orchestrator",
    metavar="[ORCHESTRATOR]",
    required=False,
    shell_complete=complete.orchestrators,
)
@click.option(
    "-i",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_inputs,
    help="Set an input. Strings are taken literally; other types are parsed as JSON.",
)
@click.option(
    "--input", "source", metavar="PATH", help="A JSON object with inputs; - is standard input."
)
@param_option
@label_option("Label the run, for `orch runs` and spending windows; may be given several times.")
@journal_option
@click.option("--no-journal", is_flag=True, help="Keep the run in memory only.")
@with_run_options
def command(
    file: str,
    orchestrator: str | None,
    inputs: list[tuple[str, str]],
    source: str | None,
    params: dict[str, str],
    labels: dict[str, str],
    directory: str,
    no_journal: bool,
    models: dict[str, str],
    record_dir: str | None,
    style: str,
    full: bool,
    quiet: bool,
    color: str,
) -> int:
    """Run the workflow in FILE, or the named ORCHESTRATOR of it.

    The result goes to standard output, alone; progress and everything else to standard error.

    Exit codes: 0 finished; 1 failed, or entries of a script were left over; 2 usage, or inputs
    that do not fit; 3 the file cannot be read or has errors, or the journal cannot be used.
    4 exhausted; 5 waiting for a person; 6 aborted; 7 cancelled; 130 interrupted.
    """
    try:
        program = admit(check_with_params(file, params))
    except CompileError as refused:
        report(refused.diagnostics, color)
        return Exit.UNREADABLE
    chosen = launch.choose(program, orchestrator)
    if program.missing_params:
        raise InputError(
            [
                f"param `{name}` has no value: give --param {name}=..., or set "
                f"{environment_name(name)}"
                for name in program.missing_params
            ]
        )
    # Before a complaint about a value can quote it.
    refuse_given(current(), dict(inputs), {})
    most = _RAW_TIMES * chosen.policy.max_input_bytes
    values = _values(chosen.inputs, inputs, source, most)
    kept = None if no_journal else directory
    run_options = RunOptions(style, quiet, color, models, record_dir, kept, full, labels)
    extra = {"workflow": file, "orchestrator": chosen.name, "journal": run_options.directory}
    if is_remote(directory) and not no_journal:
        # temporalio costs 450 ms to import.
        from engine.cli.remote import start_there

        return start_there(program, chosen, values, run_options, extra)
    journal = MemoryJournal() if no_journal else SqliteJournal(directory)

    async def work(options: Options) -> RunState:
        return await launch.start(program, chosen, values, journal, options)

    try:
        return carry_out(work, run_options, extra=extra)
    finally:
        journal.close()


def _values(
    contract: Contract, typed: list[tuple[str, str]], source: str | None, most: int
) -> dict[str, Any]:
    """The inputs from both sources; what is on the command line counts for more.

    Args:
        most: How much of the source is read, in bytes.

    Raises:
        InputError: A source cannot be read, or a text is not a value of its input's type.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    try:
        values.update(_from_file(source, most))
    except InputError as error:
        problems += error.problems
    try:
        values.update(typed_inputs(contract, typed))
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return values


def _from_file(source: str | None, most: int) -> dict[str, Any]:
    if source is None:
        return {}
    name = "standard input" if source == "-" else source
    try:
        if source == "-":
            data = sys.stdin.buffer.read(most + 1) if sys.stdin is not None else b""
        else:
            with open(source, "rb") as file:
                data = file.read(most + 1)
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise InputError([f"--input: cannot read {name}: {reason}"]) from None
    if len(data) > most:
        raise InputError([f"--input: {name} is larger than {size_words(most)}"])
    try:
        value = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise InputError([f"--input: {name} is not JSON: {_why(data, problem)}"]) from None
    if not isinstance(value, dict):
        raise InputError([f"--input: {name} must hold a JSON object with the inputs by name"])
    return value


def _why(data: bytes, problem: Exception) -> str:
    """What is wrong with a text that should be JSON, with line and column where possible."""
    if not data.strip():
        return "it is empty"
    if isinstance(problem, RecursionError):
        return "it is nested too deeply"
    try:
        json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    except json.JSONDecodeError as error:
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        pass
    return str(problem)
