"""A run with steps through the pure machine: decisions are given, and workers are functions.

Time does not pass, and calls end in an order that the test chooses. The journal that comes out is a
real one, so it can be folded, cut off anywhere and taken up again.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from engine.errors import Failure
from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    GateAnswered,
    GateOpened,
    ModelInfo,
    RunEnded,
    RunResumed,
    RunRetried,
    RunStarted,
    TimerFired,
)
from engine.runtime.commands import CancelCalls, EndRun, OpenGate, SetTimer, StartCall
from engine.runtime.decision import DecisionContract
from engine.runtime.machine import step
from engine.runtime.ports import ModelRequest
from engine.runtime.state import Loop, RunState, Step, Task
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader
from engine.sema.plans.steps import Plan

__all__ = ["StepRun", "compiled", "ids", "item", "program_with", "with_plan", "work_of"]

WORKERS = """orch 1
model m { id = "memory/m" }
model small { id = "memory/small" }
worker list(q: string = "") -> json via command { run = ["w"]  effect = read }
worker get(v: json, w: json?) -> json via command { run = ["w"]  effect = read }
worker number(v: json) -> int via command { run = ["w"]  effect = read }
worker text(v: string) -> { text: string, size: int } via command { run = ["w"]  effect = read }
worker calc(v: json) -> json via python { call = "builtins:dict"  effect = pure }
worker put(v: json, w: json?) -> json via command { run = ["w"]  effect = write }
worker put_any(v: json) -> json via command { run = ["w"]  effect = write  commutes = true }
worker pay(v: json) -> json fails declined via command { run = ["w"]  effect = once }
worker page(v: json) -> json via command { run = ["w"]  effect = read  trust = untrusted }
worker measure(v: json) -> int via command { run = ["w"]  effect = read  trust = untrusted }
worker ask(v: json) -> json via llm { model = small  prompt = "{{ v }}" }
worker fold(parts: json[], w: json?) -> json via command { run = ["w"]  effect = read }
worker sum(parts: int[]) -> int via command { run = ["w"]  effect = read }
"""
NAMES = (
    "list", "get", "number", "text", "calc", "put", "put_any", "pay", "page", "measure", "ask",
    "fold", "sum",
)  # fmt: skip
_MODELS = {"m": ModelInfo("memory/m"), "small": ModelInfo("memory/small")}
MOST_EVENTS = 200_000


def program_with(
    policy: str = "", more: str = "", workers: Sequence[str] = NAMES, result: str = "json"
) -> Program:
    """A program with the workers above, whose orchestrator may have steps."""
    maximum = "" if "max_items" in policy else "max_items = 10000"
    rounds = "" if "max_rounds" in policy else "max_rounds = 9"
    rounds += "" if "max_per_round" in policy else "  max_per_round = 400"
    inside, _, outside = more.partition("---")
    return compiled(
        f"""{WORKERS}{outside}
orchestrator main(q: string = "") -> {result} {{
  model = m  goal = "g"  workers = [{", ".join(workers)}]
  policy {{ {rounds}  {maximum}  {policy} }}
  {inside}
}}
"""
    )


def compiled(text: str) -> Program:
    """A checked program."""
    result = check_file("/p/main.orch", reader=MemoryReader({"main.orch": text}, "/p"), env={})
    assert result.program is not None, [d.message for d in result.diagnostics]
    return result.program


def with_plan(program: Program, worker: str, plan: Plan, **changes: Any) -> Program:
    """The program with a worker that runs a plan."""
    changed = msgspec.structs.replace(program.workers[worker], plan=plan, **changes)
    return msgspec.structs.replace(program, workers={**program.workers, worker: changed})


_CONTRACTS: dict[int, tuple[Program, dict[str, DecisionContract]]] = {}


def _state(program: Program) -> RunState:
    """A fresh state; compiled contracts are pure, and dear to make."""
    state = RunState(program)
    _, state.decisions = _CONTRACTS.setdefault(id(program), (program, {}))
    return state


Outcome = Callable[[str, dict[str, Any]], Any]


class StepRun:
    """One run.

    Args:
        program: What runs.
        decisions: What the planner says, decision by decision; then it finishes with null. A
            function is given the state of the loop.
        outcome: What a worker gives for an input: a value, or a `Failure`.
        order: Which of the open calls ends next: `first`, `last`, or a seed of chance.
    """

    def __init__(
        self,
        program: Program,
        decisions: Sequence[Any] = (),
        outcome: Outcome = lambda worker, input: input.get("v"),
        order: str | int = "first",
        answers: Callable[[Any], dict[str, Any]] | None = None,
    ) -> None:
        self.program = program
        self.decisions = list(decisions)
        self.outcome = outcome
        self.order = order
        self.answers = answers
        self.rng = random.Random(order if isinstance(order, int) else 0)
        self.state = _state(program)
        self.journal: list[Event] = []
        self.open: dict[str, StartCall] = {}
        self.timers: list[SetTimer] = []
        self.gates: list[str] = []
        #: What was started, and what has ended well: `(id, worker, input)`.
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.finished: list[tuple[str, str, dict[str, Any]]] = []
        self.keys: dict[str, Any] = {}
        self.over: set[tuple[str, int]] = set()
        self.asked = 0
        self.most_made = 0
        self.most_open: Counter[str] = Counter()
        self.most_running = 0
        self.end: EndRun | None = None

    # ------------------------------------------------------------ driving

    def run(self, most: int = MOST_EVENTS) -> StepRun:
        """Drive it to its end, or for at most so many events."""
        self.begin()
        return self.drive(most)

    def begin(self) -> None:
        self.happen(
            RunStarted(
                run="r",
                orchestrator="main",
                input={"q": ""},
                models=_MODELS,
                program="p",
                bounds=1,
                format=2,
                verdicts=1,
            )
        )

    def drive(self, most: int = MOST_EVENTS) -> StepRun:
        for _ in range(most):
            if self.end is not None:
                return self
            self.turn()
        assert most < MOST_EVENTS, "the run does not end"
        return self

    def turn(self) -> None:
        """Let one thing happen."""
        if self.gates and self.answers is not None:
            key = self.gates.pop(0)
            gate = self.state.gates.get(key)
            if gate is not None:
                self.happen(GateAnswered(key=key, **self.answers(gate)))
            return
        due = [timer for timer in self.timers if timer.at <= self.state.now]
        if due and (not self.open or self.order != "last"):
            self.timers.remove(due[0])
            self.happen(TimerFired(at=self.state.now, timer=due[0].timer))
            return
        assert self.open, f"deadlock: {self.state.status}"
        keys = list(self.open)
        match self.order:
            case "first":
                key = keys[0]
            case "last":
                key = keys[-1]
            case _:
                key = self.rng.choice(keys)
        self.answer(key)

    def answer(self, key: str) -> None:
        """Let one open call end."""
        command = self.open.pop(key)
        request = command.request
        if isinstance(request, ModelRequest) and request.role == "decision":
            value = self.decide()
        elif isinstance(request, ModelRequest):
            task = self.state.calls[key].subject
            assert isinstance(task, Task)
            value = self.outcome(task.worker.name, task.resolved)
        else:
            value = self.outcome(request.worker.name, request.input)
        subject = self.state.calls[key].subject
        if isinstance(subject, Task) and not isinstance(value, Failure):
            self.finished.append((subject.id, subject.worker.name, subject.resolved))
        if isinstance(value, Failure):
            self.happen(
                CallFailed(key=key, attempt=command.attempt, mode=value.mode, message=value.message)
            )
        else:
            self.happen(CallFinished(key=key, attempt=command.attempt, value=value))

    def decide(self) -> Any:
        self.asked += 1
        if not self.decisions:
            return {"assessment": "done", "finish": None}
        said = self.decisions.pop(0)
        if callable(said):
            said = said(self.loop)
        return said if isinstance(said, dict | str) else {"assessment": "", "tasks": list(said)}

    def happen(self, event: Event) -> None:
        """Take an event in, and do what the machine then asks for, as a driver does."""
        _, commands = step(self.state, event)
        self.journal.append(event)
        if isinstance(event, CallFinished | CallFailed):
            self.over.add((event.key, event.attempt))
        self.most_made = max(self.most_made, self.state.made)
        for command in commands:
            if isinstance(command, StartCall):
                self.start(command)
            elif isinstance(command, CancelCalls):
                for key in command.keys:
                    self.open.pop(key, None)
            elif isinstance(command, SetTimer):
                self.timers.append(command)
            elif isinstance(command, OpenGate):
                self.gates.append(command.key)
                opened = GateOpened(key=command.key)
                step(self.state, opened)
                self.journal.append(opened)
            elif isinstance(command, EndRun):
                self.end = command
        if self.end is not None and self.end.status == "waiting":
            if self.answers is not None and self.gates:
                self.end = None
        elif self.end is not None and not self.state.ended:
            ended = RunEnded(status=self.end.status, reason=self.end.reason)
            step(self.state, ended)
            self.journal.append(ended)
        self.look()

    def start(self, command: StartCall) -> None:
        call = self.state.calls.get(command.key)
        if call is None or call.command is not command:
            return
        request = command.request
        started = CallStarted(key=command.key, attempt=command.attempt)
        step(self.state, started)
        self.journal.append(started)
        assert command.key not in self.open, f"{command.key} runs already"
        assert (command.key, command.attempt) not in self.over, f"{command.key} was over"
        self.open[command.key] = command
        if isinstance(call.subject, Task):
            self.calls.append((call.subject.id, call.subject.worker.name, call.subject.resolved))
        if not isinstance(request, ModelRequest):
            known = self.keys.setdefault(request.task_key, request.input)
            assert known == request.input, f"{request.task_key} has had another input"

    def look(self) -> None:
        """What holds after every event."""
        assert not self.state.agenda
        if self.state.root is None:
            return
        for one in self.steps():
            self.most_open[one.id] = max(self.most_open[one.id], one.open)
            assert one.open >= 0, one.id
            assert one.open <= 2 * one.loop.orchestrator.policy.max_parallel, one.id
        running = sum(isinstance(c.subject, Task) for c in self.state.calls.values())
        self.most_running = max(self.most_running, running)

    # ------------------------------------------------------------ what comes after

    def resumed(self, at: int, decisions: Sequence[Any] = ()) -> StepRun:
        """Another process takes the run over after so many events of its journal.

        Args:
            decisions: What the planner says from there on.
        """
        again = self._after(at, self.outcome, decisions)
        lost = [call.key for call in again.state.calls.values() if call.begun]
        again.happen(RunResumed(at=again.state.now, lost=lost))
        return again

    def _after(self, at: int, outcome: Outcome, decisions: Sequence[Any]) -> StepRun:
        again = StepRun(self.program, decisions, outcome, self.order, self.answers)
        again.journal = list(self.journal[:at])
        for event in again.journal:
            step(again.state, event)
            if isinstance(event, CallFinished | CallFailed):
                again.over.add((event.key, event.attempt))
        again.keys = dict(self.keys)
        return again

    def retried(
        self,
        outcome: Outcome | None = None,
        decisions: Sequence[Any] = (),
        *,
        unused: bool = False,
    ) -> StepRun:
        """The run is taken up after its end.

        Args:
            unused: Whether in the last round that no accepted decision has used.
        """
        again = self._after(len(self.journal), outcome or self.outcome, decisions)
        again.happen(RunRetried(at=again.state.now, unused=unused))
        return again

    # ------------------------------------------------------------ looking

    @property
    def loop(self) -> Loop:
        assert self.state.root is not None
        return self.state.root

    def steps(self) -> list[Step]:
        return [*self.loop.steps.values(), *(s for f in self.loop.frames for s in f.steps.values())]

    def __getitem__(self, name: str) -> Any:
        found = self.loop.entry(name)
        if found is None:
            for frame in self.loop.frames:
                found = found or frame.tasks.get(name) or frame.steps.get(name)
        assert found is not None, name
        return found

    def made(self, name: str = "") -> list[str]:
        """The ids of the tasks that were started, in order; of one step, or of all."""
        return [id for id, _, _ in self.calls if not name or id.partition("[")[0] == name]


def work_of(run: StepRun) -> int:
    """How many functions of Python a run calls: a measure of work that does not depend on time."""
    calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event == "call"

    run.look = lambda: None  # type: ignore[method-assign]
    sys.setprofile(count)
    try:
        run.run()
    finally:
        sys.setprofile(None)
    return calls


def ids(step: Step) -> list[str]:
    """The items of a step, in order."""
    return [task.id for _, task in sorted(step.items.items())]


def item(pointer: str = "") -> Mapping[str, str]:
    """(A part of) the item."""
    return {"$item": pointer}
