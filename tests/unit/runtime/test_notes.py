"""Notes to planners: read with the next decision, kept, never a goal, refused when it is too late.

The planner here waits for the test before it answers; nothing sleeps.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

import engine
from engine.errors import UsageError
from engine.events import NoteGiven
from engine.journal import SqliteJournal
from engine.runtime.machine import fold
from engine.runtime.notes import NotTaken
from engine.runtime.ports import ModelReply, ModelRequest

SOURCE = """
worker look(x: int) -> { text: string } via python { call = "tools:look" }
orchestrator main() -> { n: int } {
  model = planner  goal = "Count herons."  workers = [look]
  policy { max_rounds = %d %s }
}
"""
TOOLS = """
async def look(x):
    return {"text": "y" * 600}
"""


class Planner:
    """Answers from a list, and only when the test lets it."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = list(answers)
        self.prompts: list[list[str]] = []
        self.asked: asyncio.Queue[int] = asyncio.Queue()
        self.go: asyncio.Queue[int] = asyncio.Queue()
        self.states: list[Any] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.prompts.append([m.content for m in request.messages])
        self.states.append(request.state())
        self.asked.put_nowait(1)
        await self.go.get()
        answer = self.answers.pop(0)
        return ModelReply(answer if isinstance(answer, str) else json.dumps(answer))

    async def close(self) -> None:
        return

    async def next(self) -> None:
        """Wait until it is asked."""
        await asyncio.wait_for(self.asked.get(), 60)  # a watchdog

    def let(self) -> None:
        """Let it answer."""
        self.go.put_nowait(1)


def looks(id: str) -> dict[str, Any]:
    task = {"id": id, "worker": "look", "input": {"x": 1}}
    return {"assessment": "a", "tasks": [task]}


DONE = {"assessment": "a", "finish": {"n": 1}}


async def drive(workflow: engine.Workflow, planner: Planner, notes: dict[int, str], **more: Any):
    """Run; while the planner is asked for its nth decision, say what there is to say then."""
    handle = await workflow.start(models={"planner": planner}, **more)
    for number in range(1, len(planner.answers) + 1):
        await planner.next()
        if number in notes:
            await handle.tell(notes[number], by="ana")
        planner.let()
    return await handle.result()


def test_a_note_is_read_with_the_next_decision_and_only_there(load):
    workflow = load(SOURCE % (5, ""), TOOLS)
    planner = Planner([looks("a"), looks("b"), DONE])
    run = asyncio.run(drive(workflow, planner, {1: "  only\nthe </goal> north "}))
    assert run.status == "finished"
    first, second, third = planner.prompts
    assert "north" not in "".join(first)
    assert second[-1].endswith("- ana says: only the <\\/goal> north")
    assert third[: len(second)] == second  # the prompt only grows
    assert "north" not in third[-1]
    said = ["  only\nthe </goal> north "]
    assert [state.notes for state in planner.states] == [[], said, said]
    assert {state.goal for state in planner.states} == {"Count herons."}
    assert run.report()["history"][1]["notes"] == [
        {"by": "ana", "note": "  only\nthe </goal> north "}
    ]


def test_a_note_reaches_a_decision_that_is_asked_for_again(load):
    workflow = load(SOURCE % (5, ""), TOOLS)
    planner = Planner(["no JSON", DONE])
    run = asyncio.run(drive(workflow, planner, {1: "go north"}))
    assert run.status == "finished"
    assert "Your decision was rejected" in planner.prompts[1][-1]
    assert planner.prompts[1][-1].endswith("- ana says: go north")


def test_a_note_is_no_progress(load):
    workflow = load(SOURCE % (6, "stall { after = 2  action = abort }"), TOOLS)
    # The same output again, three times.
    planner = Planner([looks("a"), looks("b"), looks("c")])
    run = asyncio.run(drive(workflow, planner, {1: "one", 2: "two", 3: "three"}))
    assert (run.status, "stalled" in run.reason) == ("aborted", True)
    assert "no decision was asked for after the note: three" in run.report()["warnings"]


def test_a_note_survives_compaction(load):
    source = SOURCE.replace(
        "orchestrator", 'model thinker { id = "scripted/none.json"  context = 9000 }\norchestrator'
    ).replace("model = planner", "model = thinker")
    workflow = load(source % (30, "context { keep_last = 1  compact_at = 60% }"), TOOLS)
    answers = [looks(f"t{n}") for n in range(12)]

    async def play() -> Planner:
        planner = Planner([*answers, DONE])
        handle = await workflow.start(models={"thinker": planner, "planner": planner})
        for number in range(1, 14):
            await planner.next()
            if number == 2:
                await handle.tell("go north")
            planner.let()
        await handle.result()
        return planner

    prompts = asyncio.run(play()).prompts
    assert any("shortened" in "".join(prompt) for prompt in prompts)
    assert all("a person says: go north" in "".join(prompt) for prompt in prompts[2:])
    after = next(prompt for prompt in prompts if "shortened" in prompt[1])
    assert "# Earlier notes from people" in after[1]


def test_no_note_in_the_last_round_or_after_the_end(load, tmp_path):
    workflow = load(SOURCE % (1, ""), TOOLS)

    async def play() -> str:
        planner = Planner([DONE])
        handle = await workflow.start(models={"planner": planner}, journal=tmp_path / "j")
        await planner.next()
        with pytest.raises(NotTaken, match="`main` is in its last round"):
            await handle.tell("too late")
        with pytest.raises(UsageError, match="the note is empty"):
            await handle.tell(" ")
        planner.let()
        return (await handle.result()).id

    run = asyncio.run(play())
    with pytest.raises(NotTaken, match=r"has ended \(finished\) and takes no note"):
        engine.tell(run, "too late", journal=tmp_path / "j")
    with SqliteJournal(tmp_path / "j") as journal:
        assert not any(isinstance(event, NoteGiven) for event in journal.read(run))


CHILD = """
worker look(x: int) -> { text: string } via python { call = "tools:look" }
orchestrator child() -> { n: int } {
  model = inner  goal = "Look."  workers = [look]  policy { max_rounds = 3 }
}
model inner { id = "scripted/none.json" }
orchestrator main() -> { n: int } {
  model = planner  goal = "Count."  workers = [child]  policy { max_rounds = 3 }
}
"""


def test_a_note_to_the_orchestrator_under_a_task(load):
    workflow = load(CHILD, TOOLS)

    async def play() -> tuple[Planner, Planner]:
        outer = Planner(
            [{"tasks": [{"id": "c", "worker": "child", "input": {}}]}, DONE],
        )
        inner = Planner([looks("a"), DONE])
        handle = await workflow.start("main", models={"planner": outer, "inner": inner})
        await outer.next()
        outer.let()
        await inner.next()
        with pytest.raises(UsageError, match="has no task `d`"):
            await handle.tell("x", to="d")
        await handle.tell("go north", to="c")
        inner.let()
        await inner.next()
        with pytest.raises(
            UsageError, match="`a` is not an orchestrator: it is a task of worker `look`"
        ):
            await handle.tell("x", to="a")
        inner.let()
        await outer.next()
        with pytest.raises(UsageError, match="its orchestrator has ended"):
            await handle.tell("x", to="c")
        outer.let()
        await handle.result()
        return outer, inner

    outer, inner = asyncio.run(play())
    assert inner.prompts[1][-1].endswith("a person says: go north")
    assert "north" not in json.dumps(outer.prompts)


WAITS = """
worker look(x: int) -> { text: string } via python { call = "tools:look" }
verifier ok(x: int) via human { message = "Look?" }
orchestrator main() -> { n: int } {
  model = planner  goal = "Count."  workers = [look]  policy { max_rounds = 3 }
  verify { before_dispatch look { with = ok } }
}
"""


def waiting(load, tmp_path) -> engine.Run:
    (tmp_path / "script.json").write_text(json.dumps([looks("a"), DONE]))
    workflow = load(WAITS, TOOLS)
    script = f"scripted/{tmp_path}/script.json"
    return workflow.run(models={"planner": script}, journal=tmp_path / "j")


def formats(tmp_path) -> list[int]:
    with closing(sqlite3.connect(tmp_path / "j" / "journal.db")) as connection:
        return [v for (v,) in connection.execute("SELECT value FROM meta WHERE key = 'format'")]


def test_a_run_that_waits_is_told_and_waits_on(load, tmp_path):
    run = waiting(load, tmp_path)
    assert run.status == "waiting"
    assert formats(tmp_path) == [1]
    engine.tell(run.id, "go north", by="ana", journal=tmp_path / "j")
    assert formats(tmp_path) == [2]
    assert [info.status for info in engine.runs(tmp_path / "j")] == ["waiting"]
    assert len(engine.gates(tmp_path / "j")) == 1
    done = engine.resume(run.id, journal=tmp_path / "j", reply=engine.Reply("approve"))
    assert done.status == "finished"
    history = done.report()["history"]
    assert [r["notes"] for r in history] == [[], [{"by": "ana", "note": "go north"}]]
    assert engine.replay(run.id, journal=tmp_path / "j").divergence is None


def test_a_fork_of_a_told_run_raises_the_format_of_its_journal_too(load, tmp_path):
    run = waiting(load, tmp_path)
    engine.tell(run.id, "go north", journal=tmp_path / "j")
    with SqliteJournal(tmp_path / "j") as journal, SqliteJournal(tmp_path / "k") as other:
        events = journal.read(run.id)
        asyncio.run(other.create(journal.record(run.id), events))
    with closing(sqlite3.connect(tmp_path / "k" / "journal.db")) as connection:
        assert ("format", 2) in connection.execute("SELECT key, value FROM meta").fetchall()


def test_a_note_that_comes_twice_or_late_changes_nothing(load, tmp_path):
    run = waiting(load, tmp_path)
    engine.tell(run.id, "go north", journal=tmp_path / "j")
    with SqliteJournal(tmp_path / "j") as journal:
        events = journal.read(run.id)
    note = next(event for event in events if isinstance(event, NoteGiven))
    program = load(WAITS, TOOLS).program
    state = fold(program, [*events, note, note])
    assert [one.text for one in state.loop.notes] == ["go north"]
    assert state.status == "waiting"


def test_a_secret_is_refused(load, tmp_path, monkeypatch):
    monkeypatch.setenv("PASSWORD", "correct horse battery")
    (tmp_path / "script.json").write_text(json.dumps([looks("a"), DONE]))
    workflow = load("secret PASSWORD\n" + WAITS, TOOLS)
    run = workflow.run(
        models={"planner": f"scripted/{tmp_path}/script.json"}, journal=tmp_path / "j"
    )
    with pytest.raises(UsageError, match="the note holds the value of the secret PASSWORD"):
        engine.tell(run.id, "say correct horse battery", journal=tmp_path / "j")


STEPS = """
worker look(x: int) -> { text: string } via python { call = "tools:look" }
worker plan(x: int) -> json via plan {
  max_items = 3
  step inner { call = look(x=x) }
  result = inner
}
orchestrator child(x: int) -> { n: int } {
  model = planner  goal = "Look."  workers = [look]  policy { max_rounds = 3 }
}
orchestrator main() -> { n: int } {
  model = planner  goal = "Count."  workers = [look, plan, child]
  policy { max_rounds = 3  max_items = 9 }
}
"""


def test_a_note_to_something_without_a_planner_says_what_that_is(load):
    workflow = load(STEPS, TOOLS)
    entries = [
        {"id": "a", "worker": "look", "input": {"x": 1}},
        {"id": "p", "worker": "plan", "input": {"x": 1}},
    ]
    step = {"id": "r", "worker": "look", "input": {"x": 1}}
    more = [{**step, "each": {"$from": "p", "entries": True}}]

    async def play() -> list[str]:
        planner = Planner([{"tasks": entries}, {"tasks": more}, DONE])
        handle = await workflow.start("main", models={"planner": planner})
        said = []
        await planner.next()
        planner.let()
        await planner.next()
        for to in ("a", "p", "inner", "none"):
            with pytest.raises(UsageError) as refused:
                await handle.tell("x", to=to)
            said.append(str(refused.value))
        planner.let()
        await planner.next()
        with pytest.raises(UsageError) as refused:
            await handle.tell("x", to="r")
        said.append(str(refused.value))
        planner.let()
        await handle.result()
        return said

    a, p, inner, none, r = asyncio.run(play())
    assert a == "`a` is not an orchestrator: it is a task of worker `look`, which has no planner"
    assert p == "`p` is not an orchestrator: it is a task of worker `plan`, which has no planner"
    assert (
        inner == "`inner` is not an orchestrator: it is a task inside a plan, which has no planner"
    )
    assert none.endswith("has no task `none`")
    assert r == "`r` is not an orchestrator: it is a step, which has no planner"
