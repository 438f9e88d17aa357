"""A run that was looked at is driven on from there: what was folded is not folded again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.drive import launch
from engine.drive.answers import Reply
from engine.drive.launch import Options
from engine.drive.loading import load, load_on, load_run
from engine.events import Event
from engine.journal import MemoryJournal
from engine.runtime.report import run_report

PROGRAM = """orch 1
model planner { id = "scripted/none.json" }
worker pay(n: int) -> int via python { call = "tools:pay"  effect = pure }
verifier boss(n: int) via human { message = "Pay {{ n }}?" }
orchestrator main() -> int {
  model = planner  goal = "g"  workers = [pay]  policy { max_rounds = 3 }
  verify { before_dispatch pay { with = boss } }
}
"""


class Journal(MemoryJournal):
    """Counts the events that were read."""

    read_so_far = 0

    def read(self, run: str, after: int = 0) -> list[Event]:
        events = super().read(run, after)
        self.read_so_far += len(events)
        return events


async def plan(state: Any) -> Any:
    if state.round > 1:
        return {"finish": 5}
    return {"tasks": [{"id": f"pay{n}", "worker": "pay", "input": {"n": n}} for n in (1, 2)]}


OPTIONS = Options(models={"planner": plan})


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal with a run that waits for a word on two tasks."""
    (tmp_path / "main.orch").write_text(PROGRAM)
    (tmp_path / "tools.py").write_text("def pay(n):\n    return n\n")
    made = Journal()
    run = engine.load(tmp_path / "main.orch").run(journal=made, models={"planner": plan})
    assert run.status == "waiting"
    made.read_so_far = 0
    return made


def the_run(journal: Journal) -> str:
    return journal.find("last")


def approve(journal: Journal, task: str, seen: Any = None) -> None:
    reply = Reply("approve", gate=task)
    asyncio.run(launch.resume(the_run(journal), journal, OPTIONS, reply, seen))


def test_events_that_were_seen_are_not_read_again(journal: Journal) -> None:
    seen = load(journal, journal.record(the_run(journal)))
    read = journal.read_so_far
    assert read == seen.seq
    approve(journal, "pay1", seen)
    assert journal.read_so_far == read


def test_what_came_between_the_look_and_the_claim_counts(journal: Journal) -> None:
    seen = load(journal, journal.record(the_run(journal)))
    approve(journal, "pay1")
    with pytest.raises(engine.UsageError, match="no open gate `pay1`"):
        approve(journal, "pay1", seen)


def test_a_run_folded_on_is_as_one_folded_whole(journal: Journal) -> None:
    seen = load(journal, journal.record(the_run(journal)))
    approve(journal, "pay1")
    approve(journal, "pay2")
    now = load_on(journal, the_run(journal), seen)
    record, state = load_run(journal, the_run(journal))
    assert now.record == record
    assert now.state.status == "finished"
    assert run_report(now.state) == run_report(state)
    assert now.seq == len(journal.read(the_run(journal)))


def test_a_run_that_was_given_another_program_is_folded_anew(journal: Journal) -> None:
    seen = load(journal, journal.record(the_run(journal)))

    async def change() -> None:
        owned = await journal.claim(the_run(journal))
        files = {path: text.replace('"g"', '"h"') for path, text in seen.record.files.items()}
        await owned.change_program(files, 1)
        owned.release()

    asyncio.run(change())
    now = load_on(journal, the_run(journal), seen)
    assert now.state.program.orchestrators["main"] != seen.state.program.orchestrators["main"]
    assert now.seq == seen.seq
