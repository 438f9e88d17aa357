"""`orch diff`: what differs between two runs, call by call."""

from __future__ import annotations

import json
import sys

import click
import msgspec

from engine.cli import complete
from engine.cli.exit_codes import Exit
from engine.cli.format_values import count, one_line
from engine.cli.journals import find_run, journal_option, open_journal
from engine.cli.options import format_option
from engine.cli.output import echo, screen_width
from engine.history.changes import changed_files
from engine.history.compare import (
    Difference,
    StepCounts,
    StepDifference,
    differences,
    item_of,
    shared_events,
    steps_of,
)
from engine.history.judged import judged
from engine.journal.listing import shown_status

__all__ = ["command"]

#: How many items of a step are shown that differ, without `--items`.
_SHOWN_ITEMS = 3


@click.command("diff")
@click.argument("first", metavar="RUN", shell_complete=complete.runs)
@click.argument("second", metavar="RUN", shell_complete=complete.runs)
@click.option("--items", is_flag=True, help="Show every item of a step that differs.")
@format_option("How to show the differences.")
@journal_option
def command(first: str, second: str, items: bool, style: str, directory: str) -> int:
    """Show the differences between two runs: a fork and its parent, or two runs of one program.

    Calls and gates are compared by their outcome, under the keys that both runs have; a value that
    was not accepted is a failure. A step is compared by how its items ended; the first items that
    differ are shown.

    Exit codes: 0 the same; 1 they differ; 2 usage; 3 the journal cannot be read.
    """
    journal = open_journal(directory)
    try:
        runs = [find_run(journal, name) for name in (first, second)]
        records = [journal.record(run) for run in runs]
        one, other = (judged(record, journal.read(record.run)) for record in records)
    finally:
        journal.close()
    found = differences(one, other)
    files = changed_files(records[0].files, records[1].files)
    shared = shared_events(one, other)
    steps = steps_of(found, one, other)
    if style == "json":
        report = {
            "runs": runs,
            "status": [shown_status(record) for record in records],
            "shared_events": shared,
            "files": files,
            "differences": [msgspec.to_builtins(difference) for difference in found],
            "steps": [msgspec.to_builtins(step) for step in steps],
        }
        echo(json.dumps(report, indent=2))
    else:
        width = max(60, screen_width(sys.stdout))
        echo(f"- {runs[0]}: {count(len(one), 'event')}, {shown_status(records[0])}")
        echo(f"+ {runs[1]}: {count(len(other), 'event')}, {shown_status(records[1])}")
        echo(f"the same up to event {shared}" if shared else "not one event is the same")
        if files:
            echo(f"the programs differ: {', '.join(files)}")
        _tell_all(found, steps, width, None if items else _SHOWN_ITEMS)
        if not found:
            echo("every call had the same outcome")
    return Exit.FINDINGS if found else Exit.OK


def _tell_all(
    found: list[Difference], steps: list[StepDifference], width: int, most: int | None
) -> None:
    """Each difference; those in a step where its first one is, at most `most` items of it."""
    inside: dict[str, list[tuple[str, Difference]]] = {}
    for difference in found:
        place = item_of(difference.key)
        if place is not None:
            inside.setdefault(place[0], []).append((place[1], difference))
    left = {step.key: step for step in steps}
    for difference in found:
        place = item_of(difference.key)
        if place is None:
            _tell(difference, width, "")
        elif (step := left.pop(place[0], None)) is not None:
            _tell_step(step, inside[step.key], width, most)


def _tell_step(
    step: StepDifference, inside: list[tuple[str, Difference]], width: int, most: int | None
) -> None:
    echo(f"{step.key}: {count(len(step.items), 'item')} with another outcome")
    echo(f"  - {_counts(step.first)}")
    echo(f"  + {_counts(step.second)}")
    shown = set(step.items[:most])
    for item, difference in inside:
        if item in shown:
            _tell(difference, width, "  ")
    if len(shown) < len(step.items):
        echo(f"  and {len(step.items) - len(shown)} more; --items shows them")


def _counts(counts: StepCounts) -> str:
    failed = [f"{number} {mode}" for mode, number in counts.failed.items()]
    return count(counts.items, "item") + (f", failed: {', '.join(failed)}" if failed else "")


def _tell(difference: Difference, width: int, margin: str) -> None:
    echo(margin + (difference.key or "the end of the run"))
    if difference.what != "second":
        echo(f"{margin}  - {one_line(difference.first, width - 4 - len(margin))}")
    if difference.what != "first":
        echo(f"{margin}  + {one_line(difference.second, width - 4 - len(margin))}")
