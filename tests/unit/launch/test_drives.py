"""Who wants something of a run that this process drives reaches that drive.

Workers and models here wait for the test, on events of the test's; nothing sleeps.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.drive import active as drives
from engine.drive import launch
from engine.drive.launch import Options
from engine.events import GateAnswered, RunResumed
from engine.history import fork_and_retry as again
from engine.journal import Journal, MemoryJournal, SqliteJournal
from engine.runtime.ports import ModelReply, ModelRequest

PROGRAM = """orch 1
model planner { id = "scripted/none.json" }
model teller { id = "scripted/none.json" }
worker pay(n: int) -> json via python { call = "tools:pay"  effect = once }
worker tell(n: int) -> int via llm { model = teller  prompt = "{{ n }}" }
verifier boss(n: int) via human { message = "Pay {{ n }}?" }
orchestrator main() -> int {
  model = planner  goal = "g"  workers = [pay, tell]  policy { max_rounds = 3 }
  verify { before_dispatch pay { with = boss } }
}
"""
TOOLS = """
PAID = []


async def pay(n):
    PAID.append(n)
    return n
"""


class Teller:
    """A model that says when it is asked, and answers when the test lets it."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answer = threading.Event()

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.asked.set()
        await asyncio.to_thread(self.answer.wait, 30)  # a watchdog
        return ModelReply(1)

    async def close(self) -> None:
        return


def planned(*tasks: tuple[str, int]) -> Callable[[Any], Any]:
    """A model that plans these tasks, and then finishes."""

    async def plan(state: Any) -> Any:
        if state.round > 1:
            return {"finish": 5}
        return {"tasks": [{"id": f"{w}{n}", "worker": w, "input": {"n": n}} for w, n in tasks]}

    return plan


class Desk:
    """A workflow with a folder for its journal, and the models of a run."""

    def __init__(self, folder: Path, kind: str) -> None:
        (folder / "main.orch").write_text(PROGRAM)
        (folder / "tools.py").write_text(TOOLS)
        self.folder = folder / "journal"
        self.kept = MemoryJournal() if kind == "memory" else SqliteJournal(self.folder)
        #: How a later caller opens the journal: the same object, or by its path.
        self.journal: Any = self.folder if kind == "by path" else self.kept
        self.workflow = engine.load(folder / "main.orch")
        self.teller = Teller()
        self.models: dict[str, Any] = {}

    def plan(self, *tasks: tuple[str, int]) -> None:
        self.models = {"planner": planned(*tasks), "teller": self.teller}

    async def start(self) -> asyncio.Task[engine.Run]:
        """A run that has asked the teller, and goes on when that answers."""
        running = asyncio.ensure_future(self.workflow.arun(journal=self.kept, models=self.models))
        await asyncio.to_thread(self.teller.asked.wait)
        return running

    async def resume(self, **reply: Any) -> engine.Run:
        said = engine.Reply(**reply) if reply else None
        return await engine.aresume("last", journal=self.journal, models=self.models, reply=said)

    def events(self, kind: type) -> list[Any]:
        journal: Journal = self.kept
        return [it for it in journal.read(journal.find("last")) if isinstance(it, kind)]

    def paid(self) -> list[int]:
        """What was paid, in order."""
        here = str(self.folder.parent)
        modules = [it for name, it in sys.modules.items() if name.endswith(".tools")]
        return [n for it in modules if str(it.__file__).startswith(here) for n in it.PAID]


@pytest.fixture(params=["memory", "sqlite", "by path"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, request.param)
    yield made
    made.teller.answer.set()
    made.kept.close()


def test_an_answer_reaches_the_drive_and_its_caller_gets_what_that_comes_to(desk: Desk) -> None:
    desk.plan(("tell", 1), ("pay", 2))

    async def go() -> tuple[engine.Run, engine.Run]:
        running = await desk.start()
        answering = asyncio.ensure_future(desk.resume(answer="approve", note="yes", by="ann"))
        while not desk.events(GateAnswered):
            await asyncio.sleep(0)
        desk.teller.answer.set()
        return await running, await answering

    first, second = asyncio.run(go())
    assert (first.status, first.output) == (second.status, second.output) == ("finished", 5)
    assert [(it.note, it.by) for it in desk.events(GateAnswered)] == [("yes", "ann")]
    assert desk.events(RunResumed) == []
    assert desk.paid() == [2]


def test_of_three_answers_to_two_gates_one_is_refused(desk: Desk) -> None:
    desk.plan(("tell", 1), ("pay", 2), ("pay", 3))

    async def go() -> list[Any]:
        running = await desk.start()
        said = [
            asyncio.ensure_future(desk.resume(answer="approve", gate=gate, note=note))
            for gate, note in (("pay2", "a"), ("pay3", "b"), ("pay2", "c"))
        ]
        while len(desk.events(GateAnswered)) < 2:
            await asyncio.sleep(0)
        desk.teller.answer.set()
        return await asyncio.gather(running, *said, return_exceptions=True)

    run, *said = asyncio.run(go())
    assert run.status == "finished"
    assert [isinstance(it, engine.Run) for it in said] == [True, True, False]
    assert isinstance(said[2], engine.UsageError)
    assert "`round 1 / decision 1 / task pay2" in str(said[2]) or "pay2" in str(said[2])
    assert sorted(desk.paid()) == [2, 3]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ({"answer": "approve", "gate": "other"}, "there is no open gate `other`"),
        ({"answer": "maybe"}, "`maybe` is not an answer"),
        ({"answer": "approve", "edit": {"n": "all"}}, "`pay`'s input does not fit"),
        ({"answer": "approve", "note": "\ud800"}, "cannot be written as JSON"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_drive_goes_on(
    desk: Desk, reply: dict[str, Any], message: str
) -> None:
    desk.plan(("tell", 1), ("pay", 2))

    async def go() -> str:
        running = await desk.start()
        with pytest.raises(engine.UsageError, match=message):
            await desk.resume(**reply)
        desk.teller.answer.set()
        return (await running).status

    assert asyncio.run(go()) == "waiting"
    assert desk.events(GateAnswered) == []


def test_who_resumes_a_run_that_is_driven_waits_for_it(desk: Desk) -> None:
    desk.plan(("tell", 1))

    async def go() -> list[engine.Run]:
        running = await desk.start()
        joined = [asyncio.ensure_future(desk.resume()) for _ in range(2)]
        left = asyncio.ensure_future(desk.resume())
        await asyncio.sleep(0)
        left.cancel()  # who leaves leaves alone
        await asyncio.wait([left])
        desk.teller.answer.set()
        return await asyncio.gather(running, *joined)

    assert [run.output for run in asyncio.run(go())] == [5, 5, 5]
    assert desk.events(RunResumed) == []


def test_two_who_resume_an_interrupted_run_drive_it_once(desk: Desk) -> None:
    desk.plan(("tell", 1))

    async def go() -> list[engine.Run]:
        running = await desk.start()
        running.cancel()
        await asyncio.wait([running])
        while desk.kept.record(desk.kept.find("last")).live:
            await asyncio.sleep(0)
        desk.teller.answer.set()
        return await asyncio.gather(desk.resume(), desk.resume())

    assert [run.output for run in asyncio.run(go())] == [5, 5]
    assert len(desk.events(RunResumed)) == 1


def test_a_drive_that_is_interrupted_is_taken_over_by_who_has_joined_it(desk: Desk) -> None:
    desk.plan(("tell", 1), ("pay", 2))

    async def go() -> engine.Run:
        running = await desk.start()
        answering = asyncio.ensure_future(desk.resume(answer="approve", note="yes"))
        while not desk.events(GateAnswered):
            await asyncio.sleep(0)
        # The answer is written, and its drive has perhaps not heard of that yet.
        running.cancel()
        await asyncio.wait([running])
        desk.teller.answer.set()
        return await answering

    run = asyncio.run(go())
    assert [it.note for it in desk.events(GateAnswered)] == ["yes"]
    assert len(desk.events(RunResumed)) == 1
    # If the payment was under way, a person has to say what became of it.
    if run.status == "waiting":
        assert [gate.kind for gate in run.gates] == ["outcome"]
        run = asyncio.run(desk.resume(answer="approve", output=2))
    assert (run.status, run.output) == ("finished", 5)
    assert desk.paid() in ([2], [])


def test_a_run_is_cancelled_by_the_drive_it_has(desk: Desk) -> None:
    desk.plan(("tell", 1), ("pay", 2))

    async def go() -> list[Any]:
        running = await desk.start()
        run = desk.kept.find("last")
        state = await launch.cancel(run, desk.kept, Options(), "enough")
        desk.teller.answer.set()  # for its thread
        return [state, await running]

    state, run = asyncio.run(go())
    assert (state.status, run.status, run.reason) == ("cancelled", "cancelled", "enough")
    with pytest.raises(engine.UsageError, match="has ended already"):
        asyncio.run(launch.cancel(run.id, desk.kept))


def test_what_needs_the_run_for_itself_is_refused_while_it_is_driven(desk: Desk) -> None:
    desk.plan(("tell", 1))

    async def go() -> None:
        running = await desk.start()
        run = desk.kept.find("last")
        for other in (again.retry_failed(run, desk.kept), again.upgrade(run, desk.kept)):
            with pytest.raises(engine.JournalError, match="is being driven by this process"):
                await other
        desk.teller.answer.set()
        await running

    asyncio.run(go())
    assert desk.events(RunResumed) == []


def test_threads_reach_a_drive_on_another_threads_event_loop(desk: Desk) -> None:
    desk.plan(("tell", 1), ("pay", 2))
    runs: list[engine.Run] = []

    def drive() -> None:
        runs.append(desk.workflow.run(journal=desk.kept, models=desk.models))

    def answer() -> None:
        reply = engine.Reply("approve")
        runs.append(engine.resume("last", journal=desk.journal, models=desk.models, reply=reply))

    def join() -> None:
        runs.append(engine.resume("last", journal=desk.journal, models=desk.models))

    threads = [threading.Thread(target=work) for work in (drive, answer, join)]
    threads[0].start()
    assert desk.teller.asked.wait(60)
    for thread in threads[1:]:
        thread.start()
    while not desk.events(GateAnswered):
        pass
    desk.teller.answer.set()
    for thread in threads:
        thread.join(60)
    assert [run.output for run in runs] == [5, 5, 5]
    assert desk.paid() == [2]


def test_a_drive_whose_event_loop_was_closed_is_over() -> None:
    journal = MemoryJournal()

    async def enter() -> tuple[drives.Drive, bool]:
        return drives.enter(journal, "r")

    async def join() -> None:
        drive, is_new = drives.enter(journal, "r")
        assert not is_new
        with pytest.raises(engine.JournalError, match="by an event loop of this process that has"):
            await drive.join(None)

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(enter())[1]
    asyncio.run(join())
    loop.close()
    drive, is_new = asyncio.run(enter())
    assert is_new
    with drive:
        pass


def test_a_worker_cannot_wait_for_its_own_run(desk: Desk) -> None:
    seen: list[str] = []

    async def plan(state: Any) -> Any:
        try:
            await desk.resume()
        except engine.UsageError as error:
            seen.append(str(error))
        return {"finish": 5}

    desk.models = {"planner": plan, "teller": desk.teller}
    assert desk.workflow.run(journal=desk.kept, models=desk.models).output == 5
    assert ["cannot wait for the run it belongs to" in said for said in seen] == [True]


FORKED = """
    import asyncio, os, sys
    import engine
    from engine.drive import active as drives
    from engine.drive import launch
    from engine.journal import RunRecord, SqliteJournal

    folder = sys.argv[1]

    async def enter(journal, run):
        record = RunRecord(run=run, workflow="x", orchestrator="o", started_ms=7)
        return await journal.create(record)

    async def main():
        journal = SqliteJournal(folder)
        await enter(journal, "parent")
        drive, _ = drives.enter(journal, "parent")
        pid = os.fork()
        if pid == 0:
            asyncio._set_running_loop(None)
            code = 1
            try:
                asyncio.run(child(journal))
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        owned = await journal.claim("parent")
        assert owned.epoch == 2
        journal.close()

    async def child(journal):
        try:
            await enter(journal, "none")
        except engine.JournalError as error:
            assert "forked" in str(error), error
        assert drives._drives == {}
        with SqliteJournal(folder) as own:
            await enter(own, "child")
            try:
                await own.claim("parent")
            except engine.JournalError as error:
                assert "is driving the run" in str(error), error
            else:
                raise AssertionError("two processes own one run")

    asyncio.run(main())
"""


def test_a_process_that_is_forked_off_owns_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(FORKED), str(tmp_path / "journal")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    with SqliteJournal(tmp_path / "journal") as journal:
        assert {summary.run for summary in journal.runs()} == {"parent", "child"}
