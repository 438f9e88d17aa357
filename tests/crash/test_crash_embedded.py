"""A run cut off after each event of its journal, and taken over from there.

What the outside has seen by then is laid out as it would be: the effects of every call whose end
is in the journal, and of those in flight either all or none. Whoever takes over must come to the
same output, make no call again whose end is there, repeat a `write` only under its key, and
start a `once` again only after a person has said that it was not done.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import engine
from engine.drive import launch
from engine.events import CallFailed, CallFinished, CallStarted, Event, RunEnded
from engine.journal import Journal, MemoryJournal, SqliteJournal
from engine.runtime.ports import ModelReply, ModelRequest
from engine.runtime.state import RunState

SOURCE = """orch 1
model planner { id = "memory/planner" }
worker look(x: int) -> { n: int } fails broken via python {
  call = "tools:look"  effect = read  retry { max = 1  on = [broken]  backoff = 1ms }
}
worker save(n: int) -> string via command {
  run = ["tee", "-a", "saved.log"]  stdin = "" ~ task.key ~ "\\n"  parse = text  effect = write
}
worker send(n: int) -> { id: string } via python { call = "tools:send"  effect = once }
worker write(n: int) -> { text: string } via llm { model = planner  prompt = "{{ n }}" }
verifier fine(output: json) via python { call = "tools:fine" }
verifier good(goal: string) via llm { model = planner  prompt = "{{ goal }}?" }
verifier person(n: int) via human { message = "Send {{ n }}?" }
orchestrator inner(n: int) -> { sum: int } {
  model = planner  goal = "inner {{ n }}"  workers = [look]  policy { max_rounds = 2 }
}
orchestrator main() -> { total: int } {
  model = planner  goal = "all"  workers = [look, save, send, write, inner]
  policy { max_rounds = 5  max_parallel = 2 }
  verify {
    before_dispatch send { with = person  on_fail = abort }
    after_dispatch look { with = fine  on_fail = revise  max_revisions = 1 }
    after_round { with = good  on_fail = abort }
  }
}
"""
TOOLS = """
import pathlib
import engine
LOG = pathlib.Path(__file__).with_name("calls.log")

def did(line):
    with LOG.open("a") as file:
        file.write(line + "\\n")

def look(x):
    did(f"look {x}")
    return {"n": x}

def send(n):
    did(f"send {n}")
    return {"id": f"s{n}"}

def fine(output):
    did(f"fine {output['n']}")
    return {"ok": output["n"] >= 0, "feedback": ""}
"""


def task(id: str, worker: str, **input: Any) -> dict[str, Any]:
    return {"id": id, "worker": worker, "input": input}


INNER = "round 2 / decision 1 / task i / "
ANSWERS = {
    "round 1 / decision 1": "no decision",
    "round 1 / decision 2": {
        "tasks": [
            task("a", "look", x=1),
            task("b", "look", x=2),
            task("s", "save", n={"$from": "a", "at": "/n"}),
        ]
    },
    "round 2 / decision 1": {
        "tasks": [
            task("i", "inner", n=3),
            task("o", "send", n=7),
            task("w", "write", n={"$from": "i", "at": "/sum"}),
        ]
    },
    f"{INNER}round 1 / decision 1": {"tasks": [task("a", "look", x=5), task("b", "look", x=6)]},
    f"{INNER}round 2 / decision 1": {"finish": {"sum": 11}},
    "round 2 / decision 1 / task w": {"text": "eleven"},
    "round 1 / after_round / verify good": {"ok": True},
    "round 2 / after_round / verify good": {"ok": True},
    "round 3 / decision 1": {"finish": {"total": 14}},
}


class Planner:
    """A model that answers by the call's key, and keeps which calls were made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.made.append(request.key)
        answer = ANSWERS[request.key]
        return ModelReply(answer if isinstance(answer, str) else json.dumps(answer))

    async def close(self) -> None:
        return


class Outside:
    """The folder that stands for the world: what was done there, and how to lay it out."""

    def __init__(self, folder: Path) -> None:
        self.calls = folder / "calls.log"
        self.saved = folder / "saved.log"

    def done(self) -> Counter[str]:
        lines = [
            line
            for log in (self.calls, self.saved)
            if log.exists()
            for line in log.read_text().splitlines()
        ]
        return Counter(lines)

    def lay_out(self, lines: list[str]) -> None:
        self.calls.write_text("".join(f"{line}\n" for line in lines if " " in line))
        self.saved.write_text("".join(f"{line}\n" for line in lines if " " not in line))


#: What each call does to the outside, as it stands in a log.
EFFECTS = {
    "round 1 / decision 2 / task a": "look 1",
    "round 1 / decision 2 / task b": "look 2",
    "round 1 / decision 2 / task a / attempt 1 / after / verify fine": "fine 1",
    "round 1 / decision 2 / task b / attempt 1 / after / verify fine": "fine 2",
    "round 1 / decision 2 / task s": "{run}/round1/decision2/tasks",
    f"{INNER}round 1 / decision 1 / task a": "look 5",
    f"{INNER}round 1 / decision 1 / task b": "look 6",
    "round 2 / decision 1 / task o": "send 7",
}


@pytest.fixture
def whole(tmp_path: Path) -> tuple[engine.Run, list[Event]]:
    """The run that nothing disturbed, with its journal."""
    (tmp_path / "main.orch").write_text(SOURCE)
    (tmp_path / "tools.py").write_text(TOOLS)
    workflow = engine.load(tmp_path / "main.orch")
    journal = MemoryJournal()
    run = workflow.run(models={"planner": Planner()}, journal=journal)
    assert run.status == "waiting", run.reason
    run = engine.resume(
        run.id,
        journal=journal,
        models={"planner": Planner()},
        reply=engine.Reply(answer="approve"),
    )
    assert (run.status, run.output) == ("finished", {"total": 14})
    return run, journal.read(run.id)


def ends(events: list[Event]) -> set[str]:
    return {event.key for event in events if isinstance(event, CallFinished | CallFailed)}


def in_flight(events: list[Event]) -> set[str]:
    return {event.key for event in events if isinstance(event, CallStarted)} - ends(events)


async def cut_off(
    run: engine.Run, events: list[Event], folder: Path, *, disk: bool
) -> Callable[[], Journal]:
    """A journal that stops after these events, as each process opens it that takes over."""
    record = run.journal.record(run.id)
    blank = msgspec.structs.replace(record, status="running", ended_ms=None, reason="", bound=None)
    journal: Journal = SqliteJournal(folder) if disk else MemoryJournal()
    owned = await journal.create(blank)
    await owned.append(events)
    owned.release()
    if not disk:
        return lambda: journal
    journal.close()
    return lambda: SqliteJournal(folder)


def answer(state: RunState, done: Counter[str]) -> engine.Reply:
    """What a person says who can look at the outside."""
    gate = next(iter(state.gates.values()))
    if gate.kind != "outcome":
        return engine.Reply(answer="approve", gate=gate.key)
    if done["send 7"]:
        return engine.Reply(answer="approve", gate=gate.key, output={"id": "s7"})
    return engine.Reply(answer="not_done", gate=gate.key)


def take_over(
    journal: Callable[[], Journal], run: str, planner: Planner, outside: Outside
) -> tuple[RunState, int]:
    """Drive a run on to its end, as often as a person has to be asked."""
    reply: engine.Reply | None = None
    asked = 0
    while True:
        opened = journal()
        options = launch.Options(models={"planner": planner})
        state = asyncio.run(launch.resume(run, opened, options, reply))
        if not isinstance(opened, MemoryJournal):
            opened.close()
        if state.status != "waiting":
            return state, asked
        gate = next(iter(state.gates.values()))
        asked += gate.kind == "outcome"
        reply = answer(state, outside.done())


@pytest.mark.parametrize("happened", [False, True], ids=["not done", "done"])
def test_a_run_cut_off_anywhere_comes_to_the_same_end(whole, tmp_path, happened):
    run, events = whole
    outside = Outside(tmp_path)
    effects = {key: line.format(run=run.id) for key, line in EFFECTS.items()}
    assert outside.done() == Counter(effects.values())
    assert isinstance(events[-1], RunEnded)
    for cut in range(1, len(events) + 1):
        before = events[:cut]
        ended, open_ = ends(before), in_flight(before)
        seen = [line for key, line in effects.items() if key in ended]
        flying = [line for key, line in effects.items() if key in open_]
        outside.lay_out([*seen, *(flying if happened else [])])

        journal = asyncio.run(cut_off(run, before, tmp_path / f"journal-{cut}", disk=cut % 4 == 0))
        planner = Planner()
        state, asked = take_over(journal, run.id, planner, outside)

        where = f"cut after event {cut}, {before[-1]}"
        assert (state.status, state.loop.output) == ("finished", {"total": 14}), where
        assert not ended & set(planner.made), where
        assert max(Counter(planner.made).values(), default=1) == 1, where
        done = outside.done()
        assert set(done) == set(effects.values()), where
        for line, times in done.items():
            again = happened and line in flying
            repeatable = line != "send 7"
            assert times == (2 if again and repeatable else 1), (where, line)
        assert asked == (effects["round 2 / decision 1 / task o"] in flying), where
        opened = journal()
        after = opened.read(run.id)
        opened.close()
        # What a person recorded as done has no end of its own.
        calls = len(effects) + len(ANSWERS) - (asked and happened)
        assert Counter(map(type, after))[CallFinished] == calls, where


def test_a_run_that_has_ended_is_given_back_as_it_is(whole):
    run, events = whole
    planner = Planner()
    again = engine.resume(run.id, journal=run.journal, models={"planner": planner})
    assert again.report() == run.report()
    assert run.journal.read(run.id) == events
    assert planner.made == []
