"""`orch run`: run a workflow; its result on standard output, everything else on standard error."""

from __future__ import annotations

import click

from engine.cli.checked import check_with_params
from engine.cli.drive_run import RunOptions, carry_out, with_run_options
from engine.cli.exit_codes import Exit
from engine.cli.input_values import input_options, input_values, program_arguments
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
from engine.runtime.state import RunState
from engine.sema.settings.params import environment_name

__all__ = ["command"]


@click.command("run")
@program_arguments
@input_options
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
    most = chosen.policy.max_input_bytes
    values = input_values(chosen.inputs, inputs, source, most)
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
