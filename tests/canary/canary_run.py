"""The oracle: one random program, driven, and every text that an effect is given looked at.

A text from a stranger is marked (`canary_world`), and a leak is a `write` or `once` worker that is
given one which nothing in the file has let pass. What lets pass is seen where it happens: a check
or a person that has said yes in a hook that does more than warn. So there is no second model of
the rules here: what counts is where the text really went, through references, through decisions
and through whatever words the machine itself hands on.

It drives the pure machine by the turn that every driver takes, with virtual time; processes die and
others take over, and runs that have ended badly are taken up again.
"""

from __future__ import annotations

import random
from typing import Any

from canary_programs import program_of
from canary_world import World, begins_strange, canaries, gives_marked, hides_all, is_strange

from engine.events import (
    CallFailed,
    CallFinished,
    CancelRequested,
    Event,
    GateAnswered,
    ModelInfo,
    RunResumed,
    RunRetried,
    RunStarted,
    TaskClosed,
    TimerFired,
)
from engine.runtime import taint
from engine.runtime.commands import CancelCalls, StartCall
from engine.runtime.decision import DecisionContract
from engine.runtime.ending import subtree
from engine.runtime.machine import step
from engine.runtime.ports import ModelRequest, WorkerRequest
from engine.runtime.state import Gate, HookRun, Loop, RunState, Task
from engine.runtime.turn import take_turn
from engine.sema.model import Program, Verifier, Worker

DENIED = "untrusted text can reach "


class Leak(AssertionError):
    """A stranger's text has reached an effect, or a clean program was taken for another."""


class Canary:
    """One run of one program from one seed.

    Attributes:
        effects: How many effects were started, and `denied` how many were not for taint.
        hidden: How many prompts of planners that are shown no words were looked at.
        most_events: Where a run is left: what leaks does so long before, and one in fifty is
            longer.
        reached: Where leaks are kept instead of raised: `(orchestrator, worker)` of each effect
            that was given a stranger's text.
    """

    most_events = 100
    bounds = 0

    def __init__(self, seed: int, *, clean: bool = False, keep: bool = False) -> None:
        self.seed = seed
        self.clean = clean
        self.keep = keep
        self.text, self.program, self.decisions = self._made()
        self.rng = rng = random.Random(seed)
        self.world = self._outside(rng)
        self.journal: list[Event] = []
        self.open: dict[str, StartCall] = {}
        self.later: list[StartCall] = []
        self.streamed: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.passed: set[str] = set()
        self.passed_tasks: set[str] = set()
        self.passed_parts: dict[str, set[str]] = {}
        self.passed_inputs: set[str] = set()
        self.clock = 0
        self.effects = 0
        self.hidden = 0
        self.reached: list[tuple[str, str]] = []
        self.over = False
        self.hurry = rng.choice((0.02, 0.1))
        self.crashes = rng.choice((0, 0, 0, 1))
        self.retries = rng.choice((0, 0, 1))
        self.cancels = rng.random() < 0.03
        metered = "tokens = " in self.text
        self.models = {
            "planner": ModelInfo("memory/planner", metered, 1_000_000, 1_000_000),
            "policy": ModelInfo("memory/policy", metered=False),
            "small": ModelInfo("memory/small", metered=False),
        }
        self.state = self._fresh()

    @property
    def denied(self) -> int:
        """How many tasks were not started because of taint."""
        return sum(
            task.failure is not None and DENIED in task.failure.message
            for loop in subtree(self.state.loop)
            for task in loop.tasks.values()
        )

    def run(self) -> Canary:
        """Drive the run to its end.

        Raises:
            Leak: A stranger's text has reached an effect.
        """
        main = self.program.orchestrators["main"]
        happened: list[Event] = [
            RunStarted(
                run=f"c{self.seed}", orchestrator="main", input=self.world.inputs(main),
                models=self.models, program="p", format=2, verdicts=1, bounds=self.bounds,
            )
        ]  # fmt: skip
        while not self.over and len(self.journal) < self.most_events:
            happened = self._turn(happened)
        self._check_clean()
        return self

    # ------------------------------------------------------------ turns

    def _made(self) -> tuple[str, Program, dict[str, DecisionContract]]:
        return program_of(self.seed, clean=self.clean)

    def _outside(self, rng: random.Random) -> World:
        return World(rng, clean=self.clean)

    def _fresh(self) -> RunState:
        state = RunState(self.program)
        state.decisions = self.decisions
        return state

    def _now(self) -> int:
        return self.clock

    def _turn(self, happened: list[Event]) -> list[Event]:
        due, self.later = self.later, []
        turn = take_turn(self.state, happened, due, self._now, self._now)
        self.journal += turn.events
        for command in turn.others:
            if isinstance(command, CancelCalls):
                for key in command.keys:
                    self.open.pop(key, None)
            elif isinstance(command, StartCall):
                self.later.append(command)
        for start in turn.starts:
            self._look(start)
            self.open[start.key] = start
        if not turn.over:
            return self._next()
        self.open.clear()
        self.later.clear()
        return self._after_the_end()

    def _after_the_end(self) -> list[Event]:
        """A person answers, the run is resumed, or nothing is left to do."""
        if self.state.status == "waiting":
            gate = self.rng.choice(list(self.state.gates.values()))
            return [RunResumed(at=self.clock), self._answer(gate)]
        if self.retries and self.state.status != "finished":
            self.retries -= 1
            return [RunRetried(at=self.clock)]
        self.over = True
        return []

    def _next(self) -> list[Event]:
        """Something happens: a call ends, a task closes in a stream, time runs out."""
        rng = self.rng
        self.clock += rng.randint(0, 9)
        chance = rng.random()
        if self.crashes and chance < 0.05:
            return self._crash()
        if self.state.timers and chance < self.hurry:
            return [TimerFired(at=self.clock, timer=rng.choice(list(self.state.timers)))]
        if self.cancels and chance < 0.3:
            return [CancelRequested(at=self.clock, reason="enough")]
        if self.state.gates and (chance < 0.5 or not self.open):
            return [self._answer(rng.choice(list(self.state.gates.values())))]
        if not self.open:
            assert self.later, f"seed {self.seed}: nothing is open"
            return []
        start = self.open[rng.choice(list(self.open))]
        closed = self._stream(start)
        if closed is not None:
            return [closed]
        del self.open[start.key]
        return [self._outcome(start)]

    def _crash(self) -> list[Event]:
        """The process dies; another takes over with what the journal says."""
        self.crashes -= 1
        self.state = self._fresh()
        for event in self.journal:
            step(self.state, event)
        lost = list(self.open)
        self.open.clear()
        self.later.clear()
        return [RunResumed(at=self.clock, lost=lost)]

    # ------------------------------------------------------------ calls

    def _stream(self, start: StartCall) -> Event | None:
        """A task of a decision that is not at its end has closed; or None."""
        request = start.request
        if not isinstance(request, ModelRequest) or not request.stream or self.rng.random() < 0.6:
            return None
        loop = self.state.calls[start.key].subject
        assert isinstance(loop, Loop)
        begun = self.streamed.setdefault((start.key, start.attempt), [])
        if len(begun) >= loop.orchestrator.policy.max_per_round:
            return None
        task = self.world.task(loop, self.world.shown(request), begun)
        begun.append(task)
        return TaskClosed(at=self.clock, key=start.key, attempt=start.attempt, task=task)

    def _outcome(self, start: StartCall) -> Event:
        request, subject = start.request, self.state.calls[start.key].subject
        ok = True
        if isinstance(subject, Loop):
            assert isinstance(request, ModelRequest)
            begun = self.streamed.get((start.key, start.attempt), [])
            value: Any = self.world.decision(request, subject, begun)
            if self.rng.random() < 0.03:
                ok, value = False, self.world.word(self.world.shown(request))
        elif isinstance(subject, Task):
            assert isinstance(subject.acting, Worker)
            ok, value = self.world.output(subject.acting, request)
        else:
            value = self.world.verdict(subject.verifier, request)
            if value["ok"]:
                self._let_pass(subject.hook_run, subject.verifier)
        if ok:
            return CallFinished(at=self.clock, key=start.key, attempt=start.attempt, value=value)
        mode = "unavailable" if isinstance(request, ModelRequest) else "gone"
        return CallFailed(
            at=self.clock, key=start.key, attempt=start.attempt, mode=mode, message=value
        )

    def _answer(self, gate: Gate) -> Event:
        said = self.world.answer(gate)
        if said["answer"] == "approve":
            checks = gate.checks or ([] if gate.check is None else [gate.check])
            for check in checks:
                self._let_pass(check.hook_run, None)
                # A person's yes is good for the same input for the rest of the run.
                self.passed_inputs.add(_what(check.hook_run.task))
            if gate.resume is not None:
                self._let_pass(gate.resume, None, firm=True)
                self.passed_inputs.add(_what(gate.task))
        return GateAnswered(at=self.clock, key=gate.key, **said)

    def _let_pass(self, run: HookRun, verifier: Verifier | None, *, firm: bool = False) -> None:
        """The file lets a text pass: a hook that does more than warn has looked at it.

        Args:
            verifier: Who has; it lets pass what it was given. None is a person, who sees all of it.
        """
        task = run.task
        if task is None or not (firm or verifier is None or run.hook.on_fail != "warn"):
            return  # a person's yes counts whatever the hook does about a no
        before = run.hook.point == "before_dispatch"
        given = set() if verifier is None else set(verifier.inputs.schema["properties"])
        if verifier is None or given & ({"input", "task"} if before else {"output"}):
            if before:
                self.passed_tasks.add(task.key)
            else:
                self.passed.update(canaries(str(task.output)))
        elif before and given & task.resolved.keys():
            self.passed_parts.setdefault(task.key, set()).update(given)

    # ------------------------------------------------------------ the oracle

    def _look(self, start: StartCall) -> None:
        """Look at what an effect is given."""
        task = self.state.calls[start.key].subject
        if isinstance(task, Loop):
            self._look_at_prompt(start, task)
        if not isinstance(task, Task) or not isinstance(task.acting, Worker):
            return
        self.world.busy = self.world.busy or is_strange(task.acting)
        if task.acting.effect not in ("write", "once"):
            return
        self.effects += 1
        given = self.world.received(start.request)
        if isinstance(start.request, WorkerRequest):
            given += str(start.request.scope["task"])
        seen = self.passed_parts.get(task.key)
        if seen is not None:
            given = str([one for name, one in task.resolved.items() if name not in seen])
        leaked = [canary for canary in canaries(given) if canary not in self.passed]
        if not leaked or task.key in self.passed_tasks or _what(task) in self.passed_inputs:
            return
        self.reached.append((task.loop.orchestrator.name, task.worker.name))
        if not self.keep:
            raise Leak(
                f"seed {self.seed}: {leaked} of a stranger reached `{task.acting.name}` as "
                f"{start.key}\n{self.text}"
            )

    def _look_at_prompt(self, start: StartCall, loop: Loop) -> None:
        """Look at what a planner is shown: a stranger's words make it tainted, and of what it is
        not shown there are none.
        """
        assert isinstance(start.request, ModelRequest)
        if gives_marked(loop):
            return  # what it says itself is a stranger's
        found = set(canaries(self.world.shown(start.request))) - self.passed
        begun = taint.loop_begins_tainted(self.state, loop)
        if found and not loop.tainted:
            raise Leak(f"seed {self.seed}: {start.key} reads {found} and is clean\n{self.text}")
        if not hides_all(loop):
            return
        self.hidden += self.world.busy and not begun
        given = canaries(str((loop.input, loop.goal, loop.instructions, loop.feedback)))
        if loop.tainted and not begun:
            raise Leak(f"seed {self.seed}: {start.key} is taken for untrusted\n{self.text}")
        if found - set(given):
            raise Leak(f"seed {self.seed}: {start.key} is shown {found}\n{self.text}")

    def _check_clean(self) -> None:
        """Where no stranger has said anything, nothing is taken for a stranger's words."""
        loops = subtree(self.state.loop)
        strange = begins_strange(self.program)
        if not self.clean and (strange or self.world.busy or any(map(gives_marked, loops))):
            return
        tainted = [loop.path for loop in loops if loop.tainted]
        tainted += [task.key for loop in loops for task in loop.tasks.values() if task.tainted]
        if tainted or self.denied:
            raise Leak(f"seed {self.seed}: {tainted} is taken for untrusted\n{self.text}")


def _what(task: Task | None) -> str:
    return "" if task is None else f"{task.worker.name} {task.resolved}"
