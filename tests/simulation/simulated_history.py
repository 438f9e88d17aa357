"""What comes after a simulated run: its replay, a fork of it, another try after its end.

A continuation is a simulation of its own, with the same world and the same invariants, that
begins with a part of another one's journal.
"""

from __future__ import annotations

import random

from simulated_driver import Simulation, fold, require
from simulated_programs import program_of
from simulated_world import World

from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    GateAnswered,
    HeldTask,
    RunForked,
    RunResumed,
    RunRetried,
)
from engine.history.fork_and_retry import held_tasks
from engine.history.replay import replay
from engine.runtime.attempts import effect_of
from engine.runtime.commands import StartCall
from engine.runtime.ending import subtree
from engine.runtime.forks import input_hash
from engine.runtime.ports import WorkerRequest
from engine.runtime.state import Task

#: What the simulation says to a run out of the blue; no run would have asked for it.
_NOISE = frozenset({"round 9 / decision 9", "no such timer", "round 1 / nothing"})


def without_noise(journal: list[Event]) -> list[Event]:
    """The events that belong to the run; the others change nothing."""
    return [e for e in journal if getattr(e, "key", getattr(e, "timer", "")) not in _NOISE]


def check_replay(simulation: Simulation) -> None:
    """Every journal is what the machine would have asked for."""
    journal = without_noise(simulation.journal)
    result = replay(program_of(simulation.shape), journal)
    require(result.divergence is None, f"replay diverges: {result.divergence}")
    require(result.events == len(journal), "the replay stops early")


def check_noise_diverges(simulation: Simulation) -> None:
    """What the machine has not asked for is found, and with its number."""
    noise = [
        n
        for n, e in enumerate(simulation.journal, 1)
        if getattr(e, "key", getattr(e, "timer", "")) in _NOISE
    ]
    found = replay(program_of(simulation.shape), simulation.journal).divergence
    require((found.seq if found else None) == (noise[0] if noise else None), f"found {found}")


class Continued(Simulation):
    """A run that goes on with another one's events.

    Args:
        before: The simulation whose journal it goes on with.
        events: The part of the journal.
    """

    def __init__(self, before: Simulation, events: list[Event]) -> None:
        super().__init__(before.seed)
        self.rng = random.Random(f"{before.seed} {len(events)}")
        self.shape = before.shape
        self.world = World(self.rng)
        self.journal = list(events)
        self.state = fold(self.shape, self.journal)
        self.clock = self.state.now
        self.ended = {
            (e.key, e.attempt)
            for e in self.journal
            if isinstance(e, CallFinished | CallFailed) and (e.key, e.attempt) in before.ended
        }

    def _run(self) -> None:
        self._go_on()


class Fork(Continued):
    """A fork of a simulated run.

    Args:
        parent: The run.
        seq: The number of the last event they share.
    """

    def __init__(self, parent: Simulation, seq: int) -> None:
        shared = parent.journal[:seq]
        before = fold(parent.shape, shared)
        self.started_before = {
            task.key
            for loop in subtree(before.loop)
            for task in loop.tasks.values()
            if task.attempts
        }
        held = held_tasks(program_of(parent.shape), parent.journal, seq)
        self.held: dict[str, HeldTask] = {one.key: one for one in held}
        self.inputs = {(name, one.input) for one in held for name in one.workers}
        forked = RunForked(
            at=before.now,
            run=f"fork of s{parent.seed}",
            parent=f"s{parent.seed}",
            seq=seq,
            held=held,
        )
        super().__init__(parent, [*shared, forked])
        self.happened = [RunResumed(at=self.clock)]

    def _launch(self, command: StartCall) -> None:
        task = self.state.calls[command.key].subject
        if isinstance(task, Task):
            self._check_effect(command, task)
        super()._launch(command)

    def _check_effect(self, command: StartCall, task: Task) -> None:
        shared = task.key in self.started_before
        if isinstance(command.request, WorkerRequest):
            owner, _, _ = command.request.task_key.partition("/")
            expected = self.state.parent if shared else self.state.run
            require(owner == expected, f"{task.key} goes by the key of {owner}")
        if shared or effect_of(self.state.calls[command.key]) not in ("write", "once"):
            return
        repeats = task.key in self.held or any(
            (name, input_hash(task.resolved)) in self.inputs
            for name in (task.worker.name, task.acting.name)
        )
        told = any(
            isinstance(e, GateAnswered)
            and e.key == f"{task.key} / outcome"
            and e.answer == "not_done"
            for e in self.journal
        )
        require(told or not repeats, f"{task.key} was started by the parent, and starts again")


class Retried(Continued):
    """A run that is taken up again after its end."""

    def __init__(self, before: Simulation) -> None:
        super().__init__(before, before.journal)
        self.once = {
            event.key
            for event in self.journal
            if isinstance(event, CallStarted) and self._is_once(event.key)
        }
        self.happened = [RunRetried(at=self.clock)]

    def _is_once(self, key: str) -> bool:
        return any(
            task.key == key and getattr(task.acting, "effect", "") == "once"
            for loop in subtree(self.state.loop)
            for task in loop.tasks.values()
        )

    def _launch(self, command: StartCall) -> None:
        task = self.state.calls[command.key].subject
        if isinstance(task, Task):
            require(task.key not in self.once, f"the `once` {task.key} is carried out again")
            if isinstance(command.request, WorkerRequest):
                key = f"s{self.seed}/{task.key.replace(' ', '')}"
                require(
                    command.request.task_key.partition("#")[0] == key,
                    "a retried task has another key",
                )
        super()._launch(command)
