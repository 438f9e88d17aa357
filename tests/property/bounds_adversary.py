"""An outside that makes a run as dear as it can, and what a run took, told from its journal.

It knows the policies and works them: every answer is bad until no further try is left, every
failure is one that is tried again, every call uses all that was set aside for it, verifiers reject
as long as there is a revision, and the planner gives the tasks of the dearest way. Virtual time
never passes, and people approve.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from engine.bounds import Bound, Rate, Spend, bound_of
from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    GateAnswered,
    RunEnded,
    RunStarted,
    TaskClosed,
)
from engine.runtime.attempts import _repair_max, _retry, effect_of
from engine.runtime.commands import EndRun, OpenGate, StartCall
from engine.runtime.ending import subtree
from engine.runtime.machine import step
from engine.runtime.ports import ModelRequest
from engine.runtime.requests import may_start_early
from engine.runtime.state import Call, Check, Loop, RunState, Task
from engine.sema.model import Hook, Program, Retry, Worker, fallback_chain


def rates_of(infos: dict[str, Any]) -> dict[str, Rate]:
    """What a run knows of its models, as the bound takes it."""
    return {
        name: Rate(info.metered, info.input_usd, info.output_usd, info.context)
        for name, info in infos.items()
    }


def spent(program: Program, journal: list[Event], contracts: dict[str, Any]) -> Spend:
    """What a run took, from its journal: attempts made again after a crash count once."""
    state = RunState(program)
    state.decisions.update(contracts)
    loops: dict[str, Loop] = {}
    for event in journal:
        step(state, event)
        if state.root is not None:
            # A revised sub-orchestrator is another loop in the place of the first.
            loops |= {loop.path: loop for loop in subtree(state.root)}
    calls = {(e.key, e.attempt) for e in journal if isinstance(e, CallStarted) and e.model}
    return Spend(
        rounds=sum(loop.round for loop in loops.values()),
        tasks=sum(loop.dispatches for loop in loops.values()),
        model_calls=len(calls),
        tokens=state.loop.ledger.tokens,
        cost_usd=state.loop.ledger.cost_usd,
    )


class Adversary:
    """One run, as dear as it gets.

    Args:
        finishes: In how many of its last rounds each orchestrator offers a result.
        eager: Whether tasks close while the decision streams, so that they run in rounds that
            end in a result too.
        stubborn: What it goes on with where no further try is left, to see the machine stop it:
            `failures`, `answers` that cannot be used, or `verdicts` that reject.
    """

    def __init__(
        self,
        program: Program,
        infos: dict[str, Any],
        contracts: dict[str, Any],
        inputs: dict[str, dict[str, Any]],
        outputs: dict[str, Any],
        *,
        finishes: dict[str, int],
        eager: bool = False,
        stubborn: str = "",
    ) -> None:
        self.program = program
        self.state = RunState(program)
        self.state.decisions.update(contracts)
        self.rates = rates_of(infos)
        self.infos = infos
        self.inputs = inputs
        self.outputs = outputs
        self.finishes = finishes
        self.eager = eager
        self.stubborn = stubborn
        self.fresh = 0
        self.bounds: dict[str, Bound] = {}
        self.wanted: dict[str, dict[str, int]] = {}
        self.journal: list[Event] = []

    def run(self, name: str = "main", input: Any = None) -> list[Event]:
        """The journal of the run."""
        happened: deque[Event] = deque(
            [RunStarted(run="r", orchestrator=name, input=input or {"q": "it"}, models=self.infos,
                        program="p")]
        )  # fmt: skip
        while happened:
            event = happened.popleft()
            self.journal.append(event)
            assert len(self.journal) < 100_000, "the run does not end"
            for command in step(self.state, event)[1]:
                if isinstance(command, StartCall):
                    happened.extend(self._call(command))
                elif isinstance(command, OpenGate) and command.key in self.state.gates:
                    unknown = self.state.gates[command.key].kind == "outcome"
                    answer = "reject" if unknown else "approve"
                    happened.append(GateAnswered(key=command.key, answer=answer))
                elif isinstance(command, EndRun) and command.status != "waiting":
                    happened.append(RunEnded(status=command.status))
        return self.journal

    def _call(self, command: StartCall) -> list[Event]:
        call = self.state.calls.get(command.key)
        if call is None or call.command is not command:
            return []
        request = command.request
        model = request.model.name if isinstance(request, ModelRequest) else None
        events: list[Event] = [CallStarted(key=call.key, attempt=call.attempt, model=model)]
        usage = call.reservation.as_usage() if call.reservation is not None else None
        mode = self._mode(call)
        if mode is not None:
            events.append(
                CallFailed(key=call.key, attempt=call.attempt, mode=mode, message="no",
                           retryable=True, usage=usage)
            )  # fmt: skip
            return events
        if isinstance(call.subject, Loop) and self.eager and call.subject.current.attempts == 1:
            events += [
                TaskClosed(key=call.key, attempt=call.attempt, task=task)
                for task in self._tasks(call.subject, early=True)
            ]
        value = "}" if self._unusable(call) else self._value(call, request)
        events.append(CallFinished(key=call.key, attempt=call.attempt, value=value, usage=usage))
        return events

    def _mode(self, call: Call) -> str | None:
        """How the attempt fails, while a failure leads to another attempt."""
        if effect_of(call) == "once":
            return None
        policy = _retry(self.state, call)
        if call.retries < policy.max or self._insists("failures", call):
            return policy.on[0] if policy.on else "timeout"
        if isinstance(call.subject, Loop):
            return None  # each model of the chain gives all of its bad decisions first
        more = call.chain_index + 1 < len(call.chain) or self._has_stand_in(call)
        repaired = not call.chain or call.repairs >= _repair_max(call)
        return "refused" if more and repaired and not self._stays(call) else None

    def _has_stand_in(self, call: Call) -> bool:
        """Whether another worker carries the task out once this one has failed."""
        task = call.subject
        if not isinstance(task, Task):
            return False
        return fallback_chain(self.program.workers, task.worker.name)[-1] != task.acting.name

    def _stays(self, call: Call) -> bool:
        """Whether to answer now: a revision will come back to this model, the dearest of all."""
        if not isinstance(call.subject, Task) or not call.chain:
            return False
        task, loop = call.subject, call.loop
        hooks = loop.hooks("after_dispatch", task.worker.name)
        left = any(
            loop.revisions.get(self._revision_key(hook, task.id), 0) < hook.max_revisions
            for hook in hooks
            if hook.on_fail == "revise"
        )

        def tries(worker: Worker, name: str) -> tuple[int, int]:
            retry = worker.retry or self.program.models[name].retry or Retry(max=0)
            window = self.infos[name].context if self.infos[name].metered else 0
            return (1 + retry.max) * (window + self.program.models[name].max_tokens), retry.max

        workers = [
            self.program.workers[name]
            for name in fallback_chain(self.program.workers, task.worker.name)
        ]
        dearest = max(
            tries(worker, name)
            for worker in workers
            if worker.kind == "llm"
            for name in fallback_chain(self.program.models, worker.settings["model"])
        )
        return left and tries(task.acting, call.chain[call.chain_index]) == dearest

    @staticmethod
    def _revision_key(hook: Hook, subject: str) -> str:
        return f"{hook.point} {hook.worker or ''} {hook.span.start} {subject}"

    def _insists(self, on: str, call: Call) -> bool:
        # A planner that fails, or never gives a decision, would end it all too soon.
        return self.stubborn == on and not isinstance(call.subject, Loop)

    def _unusable(self, call: Call) -> bool:
        if self._insists("answers", call):
            return True
        return bool(call.chain) and call.repairs < _repair_max(call) and effect_of(call) != "once"

    def _value(self, call: Call, request: Any) -> Any:
        subject = call.subject
        if isinstance(subject, Check):
            run = subject.hook_run
            hook, loop = run.hook, run.loop
            if hook.on_fail != "revise" or hook.point in ("before_dispatch", "after_round"):
                return '{"ok": true}'
            who = "run" if run.task is None else run.task.id
            key = self._revision_key(hook, who)
            # Those behind go first, so that those in front look as often as they can.
            later = [h for h in run.rest if h.on_fail == "revise"]
            left = any(
                loop.revisions.get(self._revision_key(h, who), 0) < h.max_revisions for h in later
            )
            ok = self.stubborn != "verdicts" and (
                left or loop.revisions.get(key, 0) >= hook.max_revisions
            )
            verdict = {"ok": ok, "feedback": "again"}
            return json.dumps(verdict) if isinstance(request, ModelRequest) else verdict
        if not isinstance(subject, Loop):
            value = self._fill(self.outputs[subject.worker.name])
            plain = isinstance(value, str) or not isinstance(request, ModelRequest)
            return value if plain else json.dumps(value)
        policy, name = subject.orchestrator.policy, subject.orchestrator.name
        insists = self.stubborn == "answers" and subject.round % 2 == 0
        current = subject.current
        more = call.chain_index + 1 < len(call.chain)
        if insists or more or current.attempts - current.asked_before <= policy.repair_max:
            return "I would rather not."
        if subject.round > policy.max_rounds - self.finishes.get(name, 0):
            return json.dumps({"assessment": "", "finish": {"n": subject.round}})
        specs = [
            {"id": task.id, "worker": task.worker.name, "input": task.input}
            for task in subject.early.values()
        ]
        tasks = specs + self._tasks(subject, len(specs))
        if not tasks:
            return "nothing is left to do"
        return json.dumps({"assessment": "", "tasks": tasks})

    def _tasks(self, loop: Loop, begun: int = 0, *, early: bool = False) -> list[dict[str, Any]]:
        """The next tasks of the dearest way."""
        name = loop.orchestrator.name
        if loop.path not in self.wanted:
            if name not in self.bounds:
                self.bounds[name] = bound_of(self.program, name, self.rates)
            steps = [s for s in self.bounds[name].steps if s.what == "task"]
            self.wanted[loop.path] = {s.name: s.times for s in steps}
            places = self.bounds[name].tasks - sum(s.times for s in steps)
            for worker in loop.orchestrator.workers:  # what is left over goes to the free ones
                limit = loop.orchestrator.limits.get(worker)
                most = places if limit is None or limit.max_dispatches is None else min(
                    places, limit.max_dispatches)  # fmt: skip
                if worker not in self.wanted[loop.path] and most:
                    self.wanted[loop.path][worker] = most
                    places -= most
        wanted = self.wanted[loop.path]
        specs: list[dict[str, Any]] = []
        for worker in wanted:
            limit = loop.orchestrator.limits.get(worker)
            if limit is not None and not all(loop.done.get(n) for n in limit.after):
                continue
            if early and not may_start_early(loop, loop.decisions.workers[worker]):
                continue
            while wanted[worker] and begun + len(specs) < loop.orchestrator.policy.max_per_round:
                wanted[worker] -= 1
                self.fresh += 1
                input = self._fill(self.inputs[worker])
                specs.append({"id": f"t{self.fresh}", "worker": worker, "input": input})
        return specs

    def _fill(self, value: Any) -> Any:
        """A value with something new in it: nothing is cached, nothing stalls."""
        if isinstance(value, dict):
            return {key: self._fill(item) for key, item in value.items()}
        if value == "NEW":
            self.fresh += 1
            return f"new{self.fresh}"
        return value
