"""What the page of a program says can never happen does not happen in runs of random programs."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from canary_run import Canary, _what
from canary_world import canaries

from engine.doc.promises import Promises, promises_of
from engine.events import GateAnswered, RunRetried
from engine.runtime.ports import WorkerRequest
from engine.runtime.state import Task
from engine.sema.model import Program, Worker

PROGRAMS = int(os.environ.get("ORCH_CANARY", "2000"))
KNOWN: dict[str, Any] = {}


class Watched(Canary):
    """A run that compares each start of an effect with what the page says."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, keep=True)
        self.promises = said_of(seed, self.program)
        self.broken: list[str] = []
        self.tried: Counter[str] = Counter()

    def _look(self, start):
        super()._look(start)
        task = self.state.calls[start.key].subject
        if not isinstance(task, Task) or not isinstance(task.acting, Worker):
            return
        for sentence in self.promises.never:
            if sentence.orchestrator not in ("", task.loop.orchestrator.name):
                continue
            if sentence.worker in ("", task.worker.name):
                self.tried[sentence.kind] += 1
                if not self._holds(sentence, task, start.request):
                    self.broken.append(f"{sentence.text} {task.resolved}")

    def _holds(self, sentence, task, request) -> bool:
        changes = task.acting.effect in ("write", "once")
        match sentence.kind:
            case "effects":
                return not changes or task.acting.name in sentence.inputs
            case "denied":
                # The leaks that the oracle has kept; it knows no rules of taint.
                return not self.reached
            case "checked":
                # A hook with `when = tainted` promises nothing of other tasks. The canary run
                # itself checks that a decision which read a stranger's text is a tainted one.
                asks = "untrusted text may have reached it" in sentence.text
                if asks and not (task.decided_tainted or canaries(str(task.resolved))):
                    return True
                return task.key in self.passed_tasks or _what(task) in self.passed_inputs
            case "unreached":
                given = self.world.received(request)
                if isinstance(request, WorkerRequest):
                    given += str(request.scope["task"])
                return not canaries(given)
            case "no words":
                return not any(isinstance(task.resolved.get(it), str) for it in sentence.inputs)
            case "once":
                asked = any(isinstance(one, GateAnswered | RunRetried) for one in self.journal)
                return task.attempts < 2 or asked
        return True


def said_of(seed: int, program: Program) -> Promises:
    """What the page says; two seeds have the same program."""
    if KNOWN.get("seed") != seed // 2:
        KNOWN.update(seed=seed // 2, said=promises_of(program))
    return KNOWN["said"]


def test_what_can_never_happen_does_not():
    tried: Counter[str] = Counter()
    for seed in range(PROGRAMS // 4):
        run = Watched(seed).run()
        assert run.broken == [], (seed, run.broken, run.text)
        tried += run.tried
    if PROGRAMS >= 2_000:
        assert min(tried[kind] for kind in ("effects", "denied", "unreached", "once")) > 4, tried


def test_what_can_happen_is_said():
    """Each effect that a stranger's text has reached in a run, checked or not, is on the page."""
    reached = 0
    for seed in range(PROGRAMS // 8):
        run = Unforgiving(seed).run()
        said = {(it.orchestrator, it.worker) for it in promises_of(run.program).may}
        assert said.issuperset(run.reached), (seed, run.reached, said, run.text)
        reached += len(run.reached)
    assert reached > 0 or PROGRAMS < 2_000


class Unforgiving(Canary):
    """A run that keeps all that reaches an effect, checked or not."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, keep=True)
        self.passed_tasks = self.passed_inputs = self.passed = Nothing()

    def _look_at_prompt(self, start, loop):
        return


class Nothing(set):
    """What no check has let pass: all that reaches an effect is kept."""

    def add(self, item):
        return

    def update(self, *items):
        return
