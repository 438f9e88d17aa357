"""A run in some state, and two callers who want something of it at about the same time.

`play` brings a run into the state, lets the callers do what they want, and then, as a person who
can look at the outside, answers what is asked until the run has ended. `Broken` says which promise
does not hold. A number gives the scenario, and the same number the same one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from shop import Planner, Shop
from virtual_loop import VirtualLoop

import engine
from engine.cli.commands.runs import remove
from engine.drive import active as drives
from engine.drive import launch
from engine.drive.answers import Reply
from engine.drive.launch import Options
from engine.drive.loading import load_run
from engine.errors import Failure, InternalError, JournalError, OrchError
from engine.events import CallStarted, Event, GateAnswered, RunForked
from engine.history import fork_and_retry as again
from engine.journal import Journal, MemoryJournal, SqliteJournal

__all__ = ["Broken", "Scenario", "play", "scenario"]

ENDED = ("finished", "failed", "exhausted", "aborted", "cancelled")
#: How journals are opened: one object for all, one for each call on a folder, some of both.
KINDS = ("memory", "sqlite", "by path", "both")
STATES = ("running", "waiting", "interrupted", "finished", "failed", "cancelled")


class Broken(AssertionError):
    """A promise does not hold."""


class Scenario(NamedTuple):
    """What is played; everything else is drawn from the number."""

    number: int
    kind: str
    state: str
    first: str
    second: str


class _Caller(NamedTuple):
    """One who wants something, what became of it, and the note of its answer to a gate."""

    what: str
    task: asyncio.Task[Any]
    note: str


class _Scene:
    """The world of one scenario."""

    def __init__(self, played: Scenario, shop: Shop, folder: Path) -> None:
        self.played = played
        self.chance = random.Random(played.number)
        self.shop = shop
        self.planner = Planner(self.chance)
        self.folder = folder
        self.run = ""
        self.removed = 0
        self._kept: Journal | None = None
        if played.kind == "memory":
            self._kept = MemoryJournal()
        elif played.kind != "by path":
            self._kept = SqliteJournal(folder)

    @property
    def models(self) -> dict[str, Any]:
        return {"planner": self.planner}

    @property
    def on_disk(self) -> bool:
        return self.played.kind != "memory"

    def journal(self) -> Journal | Path:
        """What a caller gives for a journal."""
        if self._kept is None or (self.played.kind == "both" and self.chance.random() < 0.5):
            return self.folder
        return self._kept

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Journal]:
        """A journal as the command line opens it."""
        given = self.journal()
        if isinstance(given, Path):
            with SqliteJournal(given) as journal:
                yield journal
        else:
            yield given

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()

    def a_while_s(self) -> float:
        return self.chance.choice((0, 0, 0.01, 0.1, 0.3, 0.7, 1.2))


# ---------------------------------------------------------------- what callers want


async def _run(scene: _Scene, note: str) -> Any:
    return await scene.shop.workflow.arun(models=scene.models, journal=scene.journal())


async def _stream(scene: _Scene, note: str) -> Any:
    most = scene.chance.randint(1, 30)
    stream = scene.shop.workflow.stream(models=scene.models, journal=scene.journal())
    async with contextlib.aclosing(stream):
        async for _ in stream:
            most -= 1
            if most == 0:
                break


async def _resume(scene: _Scene, note: str) -> Any:
    name = scene.run if scene.chance.random() < 0.8 else "last"
    return await engine.aresume(name, models=scene.models, journal=scene.journal())


def _reply(answer: str, gate: str | None, **more: Any) -> Callable[[_Scene, str], Awaitable[Any]]:
    async def reply(scene: _Scene, note: str) -> Any:
        said = Reply(answer, gate, note=note, **more)  # type: ignore[arg-type]
        return await engine.aresume(
            scene.run, models=scene.models, journal=scene.journal(), reply=said
        )

    return reply


async def _letter(scene: _Scene, note: str) -> Any:
    """What another process leaves in the inbox, if it sees a gate."""
    async with scene.opened() as journal:
        if not isinstance(journal, SqliteJournal):
            return
        _, state = load_run(journal, scene.run)
        for key in list(state.gates)[:1]:
            journal.inbox.post(scene.run, GateAnswered(key=key, answer="approve"))


async def _cancel(scene: _Scene, note: str) -> Any:
    async with scene.opened() as journal:
        return await launch.cancel(scene.run, journal, Options())


async def _retry(scene: _Scene, note: str) -> Any:
    async with scene.opened() as journal:
        return await again.retry_failed(scene.run, journal, Options(models=scene.models))


async def _upgrade(scene: _Scene, note: str) -> Any:
    async with scene.opened() as journal:
        return await again.upgrade(scene.run, journal, Options(models=scene.models))


async def _fork(scene: _Scene, note: str) -> Any:
    async with scene.opened() as journal:
        seq = scene.chance.randint(1, max(1, len(journal.read(scene.run))))
        return await again.fork(scene.run, seq, journal, Options(models=scene.models))


async def _remove(scene: _Scene, note: str) -> Any:
    if scene.on_disk:
        assert remove.callback is not None
        with contextlib.redirect_stderr(None):
            remove.callback((scene.run,), True, str(scene.folder))
        scene.removed += 1


WANTED: dict[str, Callable[[_Scene, str], Awaitable[Any]]] = {
    "run": _run,
    "stream": _stream,
    "resume": _resume,
    "approve ship9": _reply("approve", "ship9"),
    "approve ship8": _reply("approve", "ship8"),
    "approve the only gate": _reply("approve", None),
    "reject ship9": _reply("reject", "ship9"),
    "approve with what fits no gate": _reply("approve", "ship9", output="x"),
    "letter": _letter,
    "cancel": _cancel,
    "retry": _retry,
    "upgrade": _upgrade,
    "fork": _fork,
    "remove": _remove,
}

#: Where two are most likely to get into each other's way.
_OPEN = ("running", "waiting", "interrupted")
_DRIVES = tuple(what for what in WANTED if what.startswith(("resume", "approve", "cancel", "up")))

_ALL = list(itertools.product(STATES, WANTED, WANTED))
_HOT = list(itertools.product(_OPEN, _DRIVES, _DRIVES))
for pairs in (_ALL, _HOT):
    random.Random(9).shuffle(pairs)


def scenario(number: int) -> Scenario:
    """The scenario of a number: in turn one of all there are, and one of the hot ones."""
    turn, kind = divmod(number, len(KINDS))
    pairs = _HOT if turn % 2 else _ALL
    return Scenario(number, KINDS[kind], *pairs[turn // 2 % len(pairs)])


# ---------------------------------------------------------------- how it is played


def play(played: Scenario, shop: Shop, folder: Path) -> None:
    """Play one scenario.

    Args:
        folder: For the journal; not there yet.

    Raises:
        Broken, Stuck: A promise does not hold.
    """
    shop.forget()
    scene = _Scene(played, shop, folder)
    loop = VirtualLoop(random.Random(played.number))
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            runner.run(_play(scene))
        finally:
            scene.close()


async def _play(scene: _Scene) -> None:
    earlier = await _bring_about(scene)
    after_s = [scene.a_while_s(), scene.a_while_s()]
    if scene.chance.random() < 0.4:
        after_s[1] = after_s[0]
    callers = [
        asyncio.ensure_future(_call(scene, what, f"n{at}", after_s[at]))
        for at, what in enumerate((scene.played.first, scene.played.second))
    ]
    left = [task for task in (*callers, *earlier) if scene.chance.random() < 0.15]
    for task in left:
        await asyncio.sleep(scene.a_while_s())
        task.cancel()
    results = await asyncio.gather(*callers, *earlier, return_exceptions=True)
    names = (scene.played.first, scene.played.second, "the first run")
    wrong: list[str] = []
    for name, task, result in zip(names, (*callers, *earlier), results, strict=False):
        wrong += _of_answer(name, result, task in left)
    async with scene.opened() as journal:
        for at, result in enumerate(results[:2]):
            if callers[at] not in left:
                wrong += _of_note(journal, scene, at, result)
    scene.planner.is_down = False
    wrong += await _settle(scene)
    async with scene.opened() as journal:
        wrong += _of_effects(journal, scene)
        wrong += _of_gates(journal)
    if drives._drives:
        wrong.append(f"it is still being driven: {drives._drives}")
    if wrong:
        raise Broken("; ".join(wrong))


async def _call(scene: _Scene, what: str, note: str, after_s: float) -> Any:
    await asyncio.sleep(after_s)
    return await WANTED[what](scene, note)


async def _bring_about(scene: _Scene) -> list[asyncio.Task[Any]]:
    """A run in the state; the caller who drives it, where it is being driven."""
    state = scene.played.state
    scene.planner.is_down = state == "failed"
    began = asyncio.get_running_loop().create_future()

    def note_id(event: Event, state: Any) -> None:
        if not began.done():
            began.set_result(state.run)

    async def drive() -> Any:
        async with scene.opened() as journal:
            options = Options(models=scene.models, observers=[note_id])
            program = scene.shop.workflow.program
            chosen = launch.choose(program, None)
            return await launch.start(program, chosen, {}, journal, options)

    driving = asyncio.ensure_future(drive())
    scene.run = await began
    if state in ("running", "interrupted"):
        await asyncio.sleep(scene.chance.random() * 0.7)
        if state == "running":
            return [driving]
        driving.cancel()
        await asyncio.wait([driving])
        return []
    status = (await driving).status
    if state == "cancelled" and status not in ENDED:
        await _cancel(scene, "")
    elif state in ("finished", "failed") and status not in ENDED:
        await _answer_until_it_ends(scene)
    return []


async def _settle(scene: _Scene) -> list[str]:
    """See every run to its end, as a person who can look at the outside would."""
    async with scene.opened() as journal:
        runs = [summary.run for summary in journal.runs()]
    wrong = []
    for run in runs:
        scene.run = run
        try:
            state = await _answer_until_it_ends(scene)
        except OrchError as error:
            wrong.append(f"{run} cannot be resumed: {error}")
        else:
            if state.status not in ENDED:
                wrong.append(f"{run} does not end: {state.status}")
    return wrong


async def _answer_until_it_ends(scene: _Scene) -> Any:
    reply: Reply | None = None
    for _ in range(30):
        async with scene.opened() as journal:
            options = Options(models=scene.models)
            state = await launch.resume(scene.run, journal, options, reply)
        if state.status != "waiting":
            break
        gate = next(iter(state.gates.values()))
        reply = Reply("approve", gate.key)
        if gate.kind == "outcome" and gate.task is not None:
            name, n = gate.task.worker.name, gate.task.resolved["n"]
            if scene.shop.effects()[f"{name} {n}"]:
                reply.output = n
            else:
                reply.answer = "not_done"
    return state


# ---------------------------------------------------------------- what is promised


def _of_answer(name: str, result: Any, has_left: bool) -> Iterator[str]:
    """Every caller gets an answer: what was asked for, or a refusal that says why."""
    if not isinstance(result, BaseException):
        return
    if isinstance(result, asyncio.CancelledError) and has_left:
        return
    is_refusal = isinstance(result, OrchError) and not isinstance(result, InternalError | Failure)
    if not is_refusal or not str(result):
        yield f"{name}: {type(result).__name__}: {result}"


def _of_note(journal: Journal, scene: _Scene, at: int, result: Any) -> Iterator[str]:
    """Who gets a result was heard, who is told that an answer does not fit was not."""
    if scene.removed or not scene.played[3 + at].startswith(("approve", "reject")):
        return
    try:
        events = journal.read(scene.run)
    except JournalError:  # the other caller has removed the run
        return
    said = any(isinstance(event, GateAnswered) and event.note == f"n{at}" for event in events)
    if said == isinstance(result, BaseException):
        yield f"the answer of {at} is in the journal: {said}, but its caller was told {result!r}"


def _of_effects(journal: Journal, scene: _Scene) -> Iterator[str]:
    """What may happen once happens once in each run that has begun it."""
    most: Counter[str] = Counter()
    for summary in journal.runs():
        events = journal.read(summary.run)
        forked = [at for at, event in enumerate(events) if isinstance(event, RunForked)]
        own = events[forked[-1] :] if forked else events
        most.update({_effect_of(event) for event in own if isinstance(event, CallStarted)})
    for done, times in scene.shop.effects().items():
        if done.startswith(("pay", "ship")) and times > most[done] + scene.removed:
            yield f"`{done}` happened {times} times in {most[done]} runs"


def _of_gates(journal: Journal) -> Iterator[str]:
    """A gate is answered once: who comes too late is told, and not written down."""
    for summary in journal.runs():
        answers = Counter(
            event.key for event in journal.read(summary.run) if isinstance(event, GateAnswered)
        )
        yield from (f"`{key}` was answered {n} times" for key, n in answers.items() if n > 1)


def _effect_of(event: CallStarted) -> str:
    """`pay 4` for the call of the task `pay4`."""
    task = event.key.rpartition(" task ")[2].partition(" ")[0]
    return f"{task[:-1]} {task[-1:]}"
