"""A driver with virtual time over the pure machine, faults, and the invariants of every step.

It keeps the local driver's order (step, intents, journal, effects), so that what it proves of
the machine holds for the real one: it differs in that nothing awaits and the outside is chance.
A `Broken` names the seed, and the same seed gives the same run, event by event.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from simulated_programs import SHAPES, STEPS, contracts_of, models_of, program_of
from simulated_world import EVIL, World

from engine.errors import Failure
from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    CancelRequested,
    Event,
    GateAnswered,
    GateOpened,
    NoteGiven,
    RunInterrupted,
    RunResumed,
    RunStarted,
    TaskClosed,
    TimerFired,
    encode_event,
)
from engine.runtime.attempts import effect_of
from engine.runtime.budget import Ledger
from engine.runtime.commands import CancelCalls, Command, EndRun, OpenGate, SetTimer, StartCall
from engine.runtime.ending import subtree
from engine.runtime.machine import step
from engine.runtime.moves import TASK_MOVES
from engine.runtime.ports import Message, ModelRequest, WorkerRequest
from engine.runtime.questions import gate_reports
from engine.runtime.report import run_report
from engine.runtime.stall import RULES
from engine.runtime.state import Call, Loop, RunState, Step, Task
from engine.runtime.stream import ClosedTasks
from engine.runtime.suspects import MOST_DEATHS, runs_here
from engine.runtime.turn import run_ended
from engine.runtime.waiting import open_gates, shown_at
from engine.sema.model import Hook, Orchestrator, Worker
from engine.sema.plans.selection import number_text

#: A run of these small programs is far shorter; one that is not does not end.
MOST_EVENTS = 4_000
#: How many tasks of steps one step of the machine may make.
MOST_MADE = 500
_canonical = msgspec.json.Encoder(order="sorted").encode
_FINAL = ("finished", "failed", "exhausted", "aborted", "cancelled")


def _closure() -> dict[str, set[str]]:
    reach = {status: {status} | after for status, after in TASK_MOVES.items()}
    for _ in TASK_MOVES:
        for status in reach:
            reach[status] = set().union(*(reach[other] for other in reach[status]))
    return reach


_REACH = _closure()


class Broken(AssertionError):
    """An invariant does not hold."""


def fold(shape: int, events: list[Event]) -> RunState:
    """The state after some events, with the schemas of the shape compiled once."""
    state = RunState(program_of(shape))
    state.decisions.update(contracts_of(shape))
    for event in events:
        step(state, event)
    return state


def ledgers(loop: Loop) -> list[Ledger]:
    """Every ledger of a loop and of those under it."""
    found = []
    for other in subtree(loop):
        found += [other.ledger, *other.worker_ledgers.values()]
    return found


def fingerprint(state: RunState) -> Any:
    """All of a state that anybody can see or that decides how it goes on."""
    return (
        run_report(state, details=True),
        sorted(
            (c.key, c.attempt, c.begun, c.retries, c.repairs, c.suspect, c.deaths)
            for c in state.calls.values()
        ),
        [call.key for call in state.suspects.calls],
        [call.key for call in state.suspects.kept_back],
        state.suspects.on_trial and state.suspects.on_trial.key,
        sorted(state.timers),
        sorted(state.gates),
        [call.key for call in state.starved],
        [
            (x.name, x.cost_usd, x.tokens, x.reserved_usd, x.reserved_tokens, x.calls)
            for x in ledgers(state.loop)
        ],
        [
            (
                o.path,
                o.phase,
                o.tainted,
                o.running,
                o.stalled,
                None if o.memory is None else o.memory.level,
                o.replans,
                o.revisions,
                len(o.blocks),
            )
            for o in subtree(state.loop)
        ],
        [
            (s.id, s.status, s.open, s.allowed, len(s.items), len(s.pending), len(s.dropped))
            for o in subtree(state.loop)
            for s in o.every_step()
        ],
        state.model_calls,
    )


class Simulation:
    """One run from one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.shape = rng.randrange(SHAPES)
        self.world = World(rng)
        self.world.steps = self.shape >= STEPS
        if self.world.steps and rng.random() < 0.8:
            # Most of what goes wrong elsewhere ends a run before its steps have begun.
            self.world.malice = min(self.world.malice, 0.05)
            self.world.failing = min(self.world.failing, 0.1)
        self.keys: dict[str, bytes] = {}
        self.state = fold(self.shape, [])
        self.journal: list[Event] = []
        self.clock = 0
        self.heap: list[tuple[int, int, Any]] = []
        self.order = 0
        self.happened: list[Event] = []
        self.running: dict[str, int] = {}
        self.ended: set[tuple[str, int]] = set()
        self.statuses: dict[Task, str] = {}
        self.prompts: dict[tuple[str, str, bool], tuple[int, Sequence[Message]]] = {}
        self.done = False
        self.crashes = rng.choice((0, 0, 1, 3))
        self.crash_chance = rng.choice((0.02, 0.1))
        self.duplicates = rng.choice((0.0, 0.0, 0.2))
        self.interrupts = rng.random() < 0.1
        self.eager = rng.random() < 0.5
        self.poison_chance = rng.choice((0.0, 0.0, 0.1, 0.3))
        if self.world.steps:
            self.poison_chance /= 10
        self.poisons: dict[str, bool] = {}
        self.waits = 0
        self.listed = 0

    # ------------------------------------------------------------ the run

    def run(self) -> list[Event]:
        """Drive the run to its end.

        Raises:
            Broken: With the seed, the program's shape and what does not hold.
        """
        try:
            self._run()
        except Exception as error:
            last = self.journal[-1] if self.journal else None
            raise Broken(
                f"seed {self.seed} (shape {self.shape}, {len(self.journal)} events, last {last}): "
                f"{type(error).__name__}: {error}"
            ) from error
        return self.journal

    def _run(self) -> None:
        self.happened.append(
            RunStarted(
                run=f"s{self.seed}", orchestrator="main", input={"q": "</goal> it"},
                models=models_of(self.rng.choice((None, 4_000, 6_000))), program="p",
                format=2 if self.state.program.has_steps else 1, stall=RULES, verdicts=1,
            )
        )  # fmt: skip
        self._go_on()

    def _go_on(self) -> None:
        while not self.done:
            self._turn()
            require(len(self.journal) < MOST_EVENTS, "the run does not end")
            if self.done or self.happened:
                continue
            require(bool(self.heap), f"deadlock: {self.state.status}, nothing is open")
            self._wait()
        self._check_fold()
        self._check_deaths()

    def _later(self, delay: int, what: Any) -> None:
        self.order += 1
        heapq.heappush(self.heap, (self.clock + delay, self.order, what))

    def _wait(self) -> None:
        """Let time pass until something happens; sometimes several things at once."""
        several = self.rng.choice((1, 1, 1, 2, 4))
        while self.heap and several:
            several -= 1
            self.clock, _, what = heapq.heappop(self.heap)
            self.clock = max(self.clock, self.state.now)
            if callable(what):
                what()
            else:
                self._happen(what)
        if self.interrupts and self.rng.random() < 0.02:
            self._happen(CancelRequested(reason="enough"))
        if self.rng.random() < 0.01:
            task = self.rng.choice(["", "", "round 1 / decision 1 / task a1", "nothing"])
            note = NoteGiven(note="go on", task=task, letter=str(self.order))
            self._happen(note)
            if self.rng.random() < 0.5:
                self._happen(note)  # it comes twice
            self._happen(CallFinished(key="round 9 / decision 9", value="?"))
            self._happen(TimerFired(timer="no such timer"))
            self._happen(GateAnswered(key="round 1 / nothing", answer="approve"))

    def _happen(self, event: Event) -> None:
        stamped = type(event)(**{**_fields(event), "at": self.clock})
        self.happened.append(stamped)

    def _step(self, event: Event) -> list[Command]:
        _, commands = step(self.state, event)
        self._check()
        return commands

    def _turn(self) -> None:
        """One turn of the driver; a crash may come at any point of it."""
        events, self.happened = self.happened, []
        starts: list[StartCall] = []
        others: list[Command] = []
        end: EndRun | None = None
        for event in events:
            self._note(event)
            for command in self._step(event):
                if isinstance(command, EndRun):
                    end = command
                elif isinstance(command, StartCall) and not command.delay_ms:
                    starts.append(command)
                else:
                    others.append(command)
        if end is not None and end.status == "waiting" and self.state.status != "waiting":
            end = None
        starts = [start for start in starts if self._wanted(start)]
        for start in starts:
            events.append(self._intent(start))
        for other in others:
            if isinstance(other, OpenGate) and other.key in self.state.gates:
                shown = shown_at(self.state, self.state.gates[other.key])
                events.append(
                    GateOpened(at=self.clock, key=other.key, wall_ms=self.clock, shown=shown)
                )
        intents = [e for e in events if isinstance(e, CallStarted | GateOpened)]
        for event in intents:
            self._step(event)
        if end is not None:
            ended = run_ended(self.state, end, self.clock)
            self._step(ended)
            events.append(ended)
        if self._crashes() and self.journal:
            self._crash(events[: self.rng.randint(0, len(events))])
            return
        self.journal += events
        if self._crashes():
            self._check_fold()
            self._crash([])
            return
        for other in others:
            self._act(other)
        if end is not None:
            self._stopped(end)
            return
        for start in starts:
            self._launch(start)

    def _note(self, event: Event) -> None:
        """Keep count of what has ended; the journal refuses a second end of an attempt."""
        if isinstance(event, CallFinished | CallFailed):
            self.running.pop(event.key, None)

    def _wanted(self, command: StartCall) -> bool:
        call = self.state.calls.get(command.key)
        return call is not None and call.command is command

    def _intent(self, command: StartCall) -> CallStarted:
        request = command.request
        model = request.model.name if isinstance(request, ModelRequest) else None
        return CallStarted(
            at=self.clock, key=command.key, attempt=command.attempt, model=model,
            isolated=request.isolated,
        )  # fmt: skip

    def _act(self, command: Command) -> None:
        if isinstance(command, StartCall):
            self._later(command.delay_ms, lambda: self._due(command))
        elif isinstance(command, SetTimer):
            self._later(max(0, command.at - self.clock), TimerFired(timer=command.timer))
        elif isinstance(command, CancelCalls):
            for key in command.keys:
                self.running.pop(key, None)
        elif isinstance(command, OpenGate):
            self._ask(command)

    def _due(self, command: StartCall) -> None:
        if self._wanted(command):
            intent = self._intent(command)
            self._step(intent)
            self.journal.append(intent)
            self._launch(command)

    def _ask(self, command: OpenGate) -> None:
        gate = self.state.gates.get(command.key)
        if gate is None:
            return
        rng = self.rng
        if command.timeout_ms is not None:
            late = GateAnswered(key=command.key, answer="timeout")
            self._later(command.timeout_ms, late)
        if rng.random() < 0.5:  # else the person takes longer than the process lives
            for _ in range(rng.choice((1, 1, 2))):
                said = GateAnswered(key=command.key, **self.world.answer(gate))
                self._later(rng.choice((0, 10, 100_000)), said)

    def _stopped(self, end: EndRun) -> None:
        """The driver has stopped: for good, or until a person answers in another process."""
        self.heap.clear()
        self.running.clear()
        if end.status != "waiting":
            self.done = True
            require(self.state.ended, "EndRun was asked for, but the run has not ended")
            return
        require(bool(self.state.gates), "the run waits for nobody")
        self._check_fold()
        listed = open_gates(self.journal)
        if listed is not None:
            require(listed == gate_reports(self.state), "a listing shows other gates than the run")
            self.listed += 1
        self.waits += 1
        if self.rng.random() < 0.05:
            self.done = True  # nobody ever answers
            return
        gates = list(self.state.gates.values())
        gate = self.rng.choice(gates)
        if gate.timeout_ms is not None and self.rng.random() < 0.3:
            said = GateAnswered(at=self.clock, key=gate.key, answer="timeout")
        else:
            said = GateAnswered(at=self.clock, key=gate.key, **self.world.answer(gate))
        self.state = fold(self.shape, self.journal)
        self.statuses.clear()
        self.happened = [RunResumed(at=self.state.now), said]

    # ------------------------------------------------------------ calls

    def _launch(self, command: StartCall) -> None:
        """Make an attempt: from here on it may have had its effect."""
        key = (command.key, command.attempt)
        require(command.key not in self.running, f"{command.key} is started while it runs")
        require(key not in self.ended, f"{key} is made again after it ended")
        self.running[command.key] = command.attempt
        call = self.state.calls[command.key]
        if effect_of(call) == "once" and isinstance(call.subject, Task):
            self._check_once(command.key, call.subject)
        if isinstance(call.subject, Task):
            self._check_start(call.subject)
            self._check_key(command)
        rng = self.rng
        took = rng.choice((0, 1, 10, 300, 5_000))
        if runs_here(command.request):
            self._check_suspects(command)
            if self._poison(command.key) and not command.request.isolated:
                self._later(took, lambda: self._taken_down(command))
                return
        event = self._outcome(command, call, took)
        self._later(took, lambda: self._ended(event))
        if rng.random() < self.duplicates:
            self._later(took + rng.choice((0, 1, 1_000)), event)

    def _ended(self, event: CallFinished | CallFailed) -> None:
        call = self.state.calls.get(event.key)
        if call is not None and call.attempt == event.attempt:
            self.ended.add((event.key, event.attempt))
        self._happen(event)

    def _outcome(self, command: StartCall, call: Call, took: int) -> CallFinished | CallFailed:
        request = command.request
        usage = self.world.usage(call.reservation)
        if request.isolated and self._poison(command.key):
            return CallFailed(
                key=command.key, attempt=command.attempt, mode="crashed", died=True, ms=took
            )
        timeout_ms = request.timeout_ms
        failure = self.world.failure(request)
        if timeout_ms is not None and took > timeout_ms:
            failure = Failure("timeout", "no answer", retryable=True)
        if failure is not None:
            return CallFailed(
                key=command.key, attempt=command.attempt, mode=failure.mode, ms=took,
                message=failure.message, retryable=failure.retryable, usage=usage,
                retry_after_ms=failure.retry_after_ms,
            )  # fmt: skip
        if isinstance(request, ModelRequest) and request.role == "decision":
            assert isinstance(call.subject, Loop)
            self._check_prompt(call.subject, request)
            value = self.world.decision(call.subject, call.form)
            if request.stream and self.eager and isinstance(value, str):
                self._stream(command, value, took)
        else:
            value = self.world.value(request)
        return CallFinished(
            key=command.key, attempt=command.attempt, value=value, usage=usage, ms=took
        )

    def _stream(self, command: StartCall, text: str, took: int) -> None:
        """Say each task as it closes; the whole may turn out to be something else."""
        for task in ClosedTasks().feed(text):
            closed = TaskClosed(key=command.key, attempt=command.attempt, task=task)
            self._later(self.rng.randint(0, took), closed)

    # ------------------------------------------------------------ crashes

    def _poison(self, key: str) -> bool:
        """Whether a call takes down the process it runs in, each time."""
        if key not in self.poisons:
            self.poisons[key] = self.rng.random() < self.poison_chance
        return self.poisons[key]

    def _taken_down(self, command: StartCall) -> None:
        if self.running.get(command.key) == command.attempt:
            self._crash([])

    def _crashes(self) -> bool:
        if self.crashes and self.rng.random() < self.crash_chance:
            self.crashes -= 1
            return True
        return False

    def _crash(self, kept: list[Event]) -> None:
        """The process dies with some of the turn's events durable; another takes over."""
        # What had ended, but is not in the journal, may be done again.
        lost = {
            (e.key, e.attempt) for e in self.happened if isinstance(e, CallFinished | CallFailed)
        }
        self.journal += kept
        if self.rng.random() < 0.2:
            # It was no crash at all: somebody pressed Ctrl-C.
            self.journal.append(RunInterrupted(at=self.state.now))
        self.happened = []
        self.running.clear()
        orphans = [item for item in self.heap if self.rng.random() < 0.1]
        self.heap = []
        self.state = fold(self.shape, self.journal)
        self.statuses.clear()
        ends = {
            (e.key, e.attempt)
            for e in self.journal
            if isinstance(e, CallFinished | CallFailed) and (e.key, e.attempt) in self.ended
        }
        self.ended = ends - lost
        self.clock = self.state.now
        if self.state.ended:
            self.done = True
            return
        for _, _, what in orphans:
            if isinstance(what, CallFinished | CallFailed):
                self._later(self.rng.randint(0, 50), what)
        open_keys = [c.key for c in self.state.calls.values() if c.begun]
        self.happened = [RunResumed(at=self.clock, lost=open_keys)]
        for gate in list(self.state.gates.values()):
            if self.rng.random() < 0.3:
                self._happen(GateAnswered(key=gate.key, **self.world.answer(gate)))

    # ------------------------------------------------------------ invariants

    def _check_suspects(self, command: StartCall) -> None:
        """Suspects run one at a time, and beside none of them what could be a culprit."""
        state, request = self.state, command.request
        beside = [key for key in self.running if key != command.key and self._inside(key)]
        if request.isolated:
            require(not beside, f"{command.key} is on trial beside {beside}")
            require(effect_of(state.calls[command.key]) != "once", "a `once` call is on trial")
        else:
            waiting = [call.key for call in state.suspects.calls]
            require(not waiting, f"{command.key} starts before the suspects {waiting}")

    def _inside(self, key: str) -> bool:
        """Whether a call that is open runs code of the user's."""
        call = self.state.calls.get(key)
        return call is not None and call.command is not None and runs_here(call.command.request)

    def _check_deaths(self) -> None:
        """A call fails with the third death of its process, and never dies a fourth time."""
        deaths = {  # an attempt's end may be told twice
            (event.key, event.attempt)
            for event in self.journal
            if isinstance(event, CallFailed) and event.died
        }
        for key, times in Counter(key for key, _ in deaths).items():
            require(times <= MOST_DEATHS, f"{key} took {times} processes down")

    def _check_once(self, key: str, task: Task) -> None:
        """No start of a `once` call but the first without a person's `not_done` before it."""
        gates = {f"{task.key} / outcome": None}
        if task.step is not None:
            gates[f"{task.step.path} / outcome"] = number_text(task.number)
            gates[f"{task.step.key} / outcome"] = number_text(task.number)
        starts = told = 0
        for event in self.journal:
            if isinstance(event, CallStarted) and event.key == key:
                starts += 1
                require(starts <= told + 1, f"{key} happens only once, and starts again")
            elif (
                isinstance(event, GateAnswered)
                and event.key in gates
                and event.answer == "not_done"
                and (event.items is None or gates[event.key] in event.items)
            ):
                told = starts

    def _check_key(self, command: StartCall) -> None:
        """The idempotency key of an item ends in a hash: one key is never for two inputs."""
        request = command.request
        if isinstance(request, WorkerRequest) and "#" in request.task_key:
            told = _canonical(request.input)
            known = self.keys.setdefault(request.task_key, told)
            require(known == told, f"{request.task_key} has had another input")

    def _check_start(self, task: Task) -> None:
        """A task that starts has its inputs, its precedence and its verifiers behind it."""
        loop, worker = task.loop, task.worker
        assert isinstance(worker, Worker)
        require(worker.inputs.is_valid(task.resolved), f"the input of {task.id} does not fit")
        limit = loop.orchestrator.limits.get(worker.name)
        for name in limit.after if limit is not None else ():
            require(bool(loop.done.get(name)), f"{task.id} starts before any {name}")
        hooks = loop.hooks("before_dispatch", worker.name)
        self._check_looked(loop, task.round, hooks, f"{task.id} starts")
        if worker.effect in ("write", "once") and EVIL in str(task.resolved):
            # A check of what came back cleans it as well.
            after = [
                hook
                for other in subtree(self.state.loop)
                for hook in other.orchestrator.hooks
                if hook.point == "after_dispatch"
            ]
            looked = any(hook.on_fail != "warn" for hook in (*hooks, *after))
            require(looked, f"untrusted text reaches {task.id} unlooked-at")

    def _check_looked(self, loop: Loop, number: int, hooks: list[Hook], what: str) -> None:
        verdicts = {(v[0], v[1]) for v in loop.rounds[number - 1].verdicts}
        for hook in hooks:
            for name in hook.verifiers if hook.when is None else ():
                skips = self.state.program.verifiers[name].skip_when is not None
                require(skips or (hook.point, name) in verdicts, f"{what}, and {name} not asked")

    def _check_prompt(self, loop: Loop, request: ModelRequest) -> None:
        """Prompts only grow, except where they are compacted; the goal is always in them."""
        prompt = [Message(m.role, m.content) for m in request.messages]
        goal = f"<goal>\n{loop.goal}\n</goal>"
        require(prompt[0].role == "system" and goal in prompt[0].content, "no goal at the head")
        require(prompt[-1].role == "user", "the last word is not the engine's")
        asked = [m for m in prompt if m.role == "user" and "was rejected" not in m.content[:30]]
        require(goal in asked[-1].content, "the newest round does not repeat the goal")
        roles = [m.role for m in prompt[1:]]
        turns = itertools.cycle(("user", "assistant"))
        require(roles == list(itertools.islice(turns, len(roles))), "nobody takes turns")
        # How to answer depends on the form that is asked for; only the same model's cache can hit.
        whose = (loop.path, request.model.name, request.structured)
        compactions, before = self.prompts.get(whose, (0, ()))
        if compactions == loop.compactions:
            require(list(before) == prompt[: len(before)], "an earlier byte of a prompt changed")
        self.prompts[whose] = (loop.compactions, prompt)

    def _check_fold(self) -> None:
        """The journal is the run."""
        folded, live = fingerprint(fold(self.shape, self.journal)), fingerprint(self.state)
        if folded != live:
            for one, other in zip(folded, live, strict=True):
                require(one == other, f"fold and live state differ: {one} != {other}")

    def _check(self) -> None:
        state = self.state
        require(not state.agenda, "the agenda is not worked off")
        require(not state.commands, "commands are left over")
        require(state.made <= MOST_MADE, f"{state.made} tasks were made at once")
        root = state.root
        if root is None:
            return
        if state.status in _FINAL:
            require(root.phase == "over", f"the run is {state.status}, its loop {root.phase}")
            require(not state.calls, "calls are open after the end")
            require(not state.gates, "gates are open after the end")
            require(not state.timers, "timers are open after the end")
        elif not (state.calls or state.gates or _continues(state)):
            raise Broken(f"deadlock: {state.status}, no call and no gate is open")
        if state.starved:
            held = any(call.reservation is not None for call in state.calls.values())
            require(held, "calls wait for a reservation that nobody holds")
        for call in state.calls.values():
            begun = call.begun == call.attempt
            require(
                call.status == ("begun" if begun else "asked"), f"an open call is {call.status}"
            )
        require(all(c.status == "starved" for c in state.starved), "what waits is not starved")
        loops = subtree(root)
        for loop in loops:
            self._check_loop(loop)
        reserved = sum(c.reservation.tokens for c in state.calls.values() if c.reservation)
        require(root.ledger.reserved_tokens == reserved, "reserved tokens belong to no call")
        for loop in loops:
            for ledger in (loop.ledger, *loop.worker_ledgers.values()):
                check_ledger(ledger)

    def _check_loop(self, loop: Loop) -> None:
        policy = loop.orchestrator.policy
        require(loop.round <= policy.max_rounds, "more rounds than max_rounds")
        allowed = sum(step.allowed for step in loop.steps.values())
        plain = [task for task in loop.tasks.values() if task.step is None]
        require(loop.dispatches == len(plain) + allowed, "a task was lost or doubled")
        for one in loop.steps.values():
            self._check_step(one)
        if policy.max_items is not None and loop.rounds:
            require(loop.current.items <= policy.max_items, "more items than max_items")
        require(
            policy.max_dispatches is None or loop.dispatches <= policy.max_dispatches,
            "more dispatches than max_dispatches",
        )
        if loop.phase == "over" and loop.status == "finished" and not loop.escalated:
            hooks = loop.hooks("before_finish")
            self._check_looked(loop, loop.round, hooks, "an orchestrator finishes")
        running = 0
        counts: dict[str, int] = {}
        statuses = self.statuses
        for task in loop.tasks.values():
            status = task.status
            before = statuses.get(task, "blocked")
            if status != before:
                require(status in _REACH[before], f"task {task.id}: {before} -> {status}")
            statuses[task] = status
            if isinstance(task.worker, Worker):
                running += status == "running"
            counts[task.worker.name] = counts.get(task.worker.name, 0) + 1
            if not loop.over:
                require(task.round == loop.round or task.over, f"task {task.id} outlives its round")
                require(status != "running" or _at_work(self.state, task), f"nobody runs {task.id}")
                require(
                    status != "queued" or loop.running >= policy.max_parallel,
                    f"{task.id} waits for a slot that is free",
                )
        require(running <= policy.max_parallel, "more tasks run than max_parallel")
        if not loop.over:
            require(running == loop.running, f"{loop.running} slots are held by {running} tasks")
        for name, count in counts.items():
            limit = loop.orchestrator.limits.get(name)
            most = None if limit is None else limit.max_dispatches
            require(most is None or count <= most, f"more tasks of {name} than its limit")
        for entry in loop.rounds:
            entries = len(entry.tasks) + len(entry.steps)
            require(entries <= policy.max_per_round, "more entries in a round than allowed")
            for task in entry.tasks:
                require(loop.tasks[task.id] is task, f"task {task.id} is there twice")

    def _check_step(self, one: Step) -> None:
        loop = one.loop
        items = list(one.items.values())
        require(len(items) <= one.allowed, f"{one.id} has more items than were counted")
        require(one.open >= 0, f"{one.id} has lost an item")
        if loop.over:
            return
        most = len(items) if one.gathers else 2 * loop.orchestrator.policy.max_parallel
        require(one.open <= most, f"{one.id} is too far ahead: {one.open} items are open")
        require(one.open == sum(not task.over for task in items), f"{one.id} has miscounted")
        if one.over:
            require(one.open == 0 and not one.pending, f"{one.id} ended before its items")
        require(one.round == loop.round or one.over, f"step {one.id} outlives its round")


def _continues(state: RunState) -> bool:
    """Whether a timer will continue a step that has made as many tasks as it may at once."""
    return any(name.endswith(" / more") for name in state.timers)


def _at_work(state: RunState, task: Task) -> bool:
    if isinstance(task.worker, Orchestrator):
        return task.child is not None and task.child.phase != "over"
    call = task.call
    return call is not None and (call.command is not None or call in state.starved)


def check_ledger(ledger: Ledger) -> None:
    """Nothing negative, nothing overspent."""
    require(ledger.reserved_usd >= 0 and ledger.reserved_tokens >= 0, "a negative reservation")
    budget = ledger.budget
    if budget.tokens is not None:
        held = ledger.tokens + ledger.reserved_tokens
        require(held <= budget.tokens, f"{ledger.name}: {held} of {budget.tokens} tokens")
    if budget.cost_usd is not None:
        cost = ledger.cost_usd + ledger.reserved_usd
        require(cost <= budget.cost_usd, f"{ledger.name}: {cost} of {budget.cost_usd}")


def require(holds: bool, what: str) -> None:
    """Raise `Broken` unless something holds."""
    if not holds:
        raise Broken(what)


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def encoded(journal: list[Event]) -> bytes:
    """A journal as bytes."""
    return b"\n".join(map(encode_event, journal))
