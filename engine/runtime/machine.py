"""The interpreter: `step(state, event) -> (state, commands)`, pure.

No I/O, no clock, no randomness, no await. A driver executes the commands and returns the results as
events. Every driver uses the same function, also in replay; nothing outside it makes decisions.

`step` owns the state: it changes it in place and returns it (a copy for each event would make the
cost of a run grow with the square of its tasks). To get the state at an earlier point, fold the
events up to that point. Late, duplicate and unknown completions change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

import msgspec

from engine.events import (
    STEPS_FORMAT,
    CallFailed,
    CallFinished,
    CallLost,
    CallStarted,
    CancelRequested,
    Event,
    GateAnswered,
    GateOpened,
    ModelInfo,
    NoteGiven,
    RunEnded,
    RunForked,
    RunInterrupted,
    RunResumed,
    RunRetried,
    RunStarted,
    TaskClosed,
    TimerFired,
)
from engine.runtime import (
    attempts,
    dispatch,
    ending,
    forks,
    gates,
    notes,
    plan_review,
    questions,
    rounds,
    verify,
)
from engine.runtime import retry_run as reopen
from engine.runtime.budget import Ledger
from engine.runtime.causes import Cause
from engine.runtime.commands import CancelCalls, Command, EndRun, SetTimer, StartCall
from engine.runtime.state import Call, Check, HookRun, Loop, RunState, Task, Todo
from engine.runtime.steps import each, plan_worker, ready
from engine.sema.model import Program

__all__ = ["fold", "known_models", "step"]


def step(state: RunState, event: Event) -> tuple[RunState, list[Command]]:
    """Take one event in.

    Returns:
        The state after it (the same object, changed) and what is to be done.
    """
    if event.at > state.now:
        state.now = event.at
    state.made = 0
    if not state.ended or isinstance(event, RunRetried):
        if state.status == "waiting" and not isinstance(event, RunEnded):
            state.status = "running"
        _take(state, event)
        if state.agenda:
            _work_off(state)
        if state.gates and not state.calls and state.status == "running":
            _wait(state)
    commands = state.commands
    if commands:
        state.commands = []
        if len(commands) > 1:
            commands = _still_wanted(commands)
    return state, commands


def fold(program: Program, events: Iterable[Event]) -> RunState:
    """The state after a run's events; what is open is in `RunState.open_commands()`."""
    state = RunState(program)
    for event in known_models(list(events)):
        step(state, event)
    return state


def known_models(events: Sequence[Event]) -> Sequence[Event]:
    """The events of a run, its start knowing the models of the programs that it was given later.

    The fold of a run uses its last program from the start, and that may ask for a model (a new
    fallback, say) before the event that made it known.
    """
    later: dict[str, ModelInfo] = {}
    for event in events:
        kind = event.__class__
        if kind is CallFinished or kind is CallStarted:
            continue  # nearly all of them
        if isinstance(event, (RunResumed, RunForked, RunRetried)) and event.program:
            later.update(event.models)
    if not later or not isinstance(events[0], RunStarted):
        return events
    start = msgspec.structs.replace(events[0], models={**later, **events[0].models})
    return [start, *events[1:]]


def _still_wanted(commands: list[Command]) -> list[Command]:
    """Drop what was asked for and called off within one step; it needs no report."""
    gone: set[str] = set()
    ended = False
    for command in commands:
        if isinstance(command, CancelCalls):
            gone.update(command.keys)
        elif isinstance(command, EndRun):
            ended = command.status != "waiting"
    if not gone and not ended:
        return commands
    return [
        command
        for command in commands
        if not (
            (isinstance(command, StartCall) and (ended or command.key in gone))
            or (isinstance(command, SetTimer) and ended)
        )
    ]


def _take(state: RunState, event: Event) -> None:
    if isinstance(event, CallFinished):
        attempts.finished(state, event)
    elif isinstance(event, CallStarted):
        attempts.started(state, event)
    elif isinstance(event, CallFailed):
        _failed(state, event)
    elif isinstance(event, RunStarted):
        _start(state, event)
    elif isinstance(event, CallLost):
        attempts.lost_call(state, event)
    elif isinstance(event, TimerFired):
        _timer(state, event.timer)
    elif isinstance(event, TaskClosed):
        rounds.task_closed(state, event)
    elif isinstance(event, GateOpened):
        gates.opened(state, event)
    elif isinstance(event, GateAnswered):
        _answered(state, event)
    elif isinstance(event, NoteGiven):
        notes.give(state, event)
    elif isinstance(event, CancelRequested):
        if state.root is not None:
            ending.end(state, state.root, "cancelled", event.reason or "cancelled")
    elif isinstance(event, RunInterrupted):
        state.interrupted = True
    elif isinstance(event, RunResumed):
        _take_over(state, event)
    elif isinstance(event, RunForked):
        forks.begin(state, event)
        attempts.forked(state)
        dispatch.hold_back(state)
        _change(state, event)
        # No process drives it yet: the one that takes it over hears what is open (`RunResumed`).
        state.commands.clear()
    elif isinstance(event, RunRetried):
        _retry(state, event)
    elif isinstance(event, RunEnded):
        state.ended = state.ended or event.status != "waiting"
    else:
        assert_never(event)


def _failed(state: RunState, event: CallFailed) -> None:
    if not event.bound:
        attempts.failed(state, event)
    elif attempts.refused(state, event) and state.root is not None:
        ending.end(state, state.root, "exhausted", event.message, event.bound)


def _take_over(state: RunState, event: RunResumed | RunRetried) -> None:
    """Another process drives the run now: ask again for what was open."""
    if isinstance(event, RunResumed):
        state.lost += len(event.lost)
    _change(state, event)
    attempts.lost(state)
    gates.ask_again(state, event.wall_ms)
    state.commands.extend(state.timers.values())
    if state.status not in ("running", "waiting"):
        # It had ended, and stopped before it could say so.
        state.commands.append(EndRun(state.status, state.reason, state.bound))


def _change(state: RunState, event: RunResumed | RunForked | RunRetried) -> None:
    """From here on the run has other models, another program, or an engine with more bounds."""
    state.models.update(event.models)
    if not isinstance(event, RunForked):
        state.bounds = max(state.bounds, event.bounds)
    if event.program:
        state.program_hash = event.program


def _retry(state: RunState, event: RunRetried) -> None:
    if not state.ended and not event.unused:
        return
    if event.unused:
        _stop(state)
    if reopen.reopen(state, unused=event.unused):
        _change(state, event)
    else:
        _take_over(state, event)


def _stop(state: RunState) -> None:
    """End a run that is to be retried and still continues: a fork, or one with a raised bound.

    No driver has begun what is open, so no command is needed to end it.
    """
    if state.root is None or state.root.over:
        return
    attempts.take_back(state)
    ending.end(state, state.root, "cancelled")
    _work_off(state)
    state.commands.clear()


def _start(state: RunState, event: RunStarted) -> None:
    state.warnings.extend(event.warnings)
    if state.root is not None:
        return
    if event.format < STEPS_FORMAT:
        # It began without steps: nothing that a decision of it says may become one later.
        state.program = state.program.without_steps()
    orchestrator = state.program.orchestrators[event.orchestrator]
    state.run = event.run
    state.input = event.input
    state.models = dict(event.models)
    state.program_hash = event.program
    state.wall_ms = event.wall_ms
    state.bounds = event.bounds
    state.stall = event.stall
    state.verdicts = event.verdicts
    ledger = Ledger(orchestrator.policy.budget)
    decisions = dispatch.decision_contract(state, orchestrator)
    state.root = Loop(orchestrator, decisions, event.input, ledger)
    state.known.loops.append(state.root)
    state.todo(Todo.BEGIN_ROUND, state.root)


def _answered(state: RunState, event: GateAnswered) -> None:
    gate = gates.answered(state, event)
    if gate is None:
        return
    questions.keep(state, gate, event)
    if gate.kind == "approval":
        if not plan_review.replaced(state, gate, event):
            verify.answered(state, gate, event)
    elif gate.kind == "outcome":
        dispatch.outcome_answered(state, gate, event)
    else:
        rounds.escalation_answered(state, gate, event)


def _timer(state: RunState, name: str) -> None:
    if state.timers.pop(name, None) is None or state.root is None:
        return
    for loop in ending.subtree(state.root):
        if ending.timer_name(loop) == name and not loop.over:
            time_ms = loop.orchestrator.policy.budget.time_ms
            reason = f"budget.time = {(time_ms or 0) / 1000:g} s is used up"
            cause = Cause(loop.orchestrator, "policy.budget.time")
            ending.end(state, loop, "exhausted", reason, "budget.time", cause=cause)
            return
        if not loop.over and ready.timer_fired(state, loop, name):
            return


def _wait(state: RunState) -> None:
    """Nothing runs, and a person has to say how it continues."""
    state.status = "waiting"
    state.reason = "; ".join(gate.message for gate in state.gates.values())
    state.commands.append(EndRun("waiting", state.reason))


def _work_off(state: RunState) -> None:
    """Do what is on the agenda, first in, first out: so the same events give the same run."""
    agenda = state.agenda
    while agenda:
        what, subject = agenda.popleft()
        if what == Todo.CALL_ENDED:
            _call_ended(state, subject)
        elif what == Todo.TASK_READY:
            dispatch.ready(state, subject)
        elif what == Todo.ITEM_ENDED:
            ready.item_ended(state, subject)
        elif what == Todo.TASK_AGAIN:
            reopen.again(state, subject)
        elif what == Todo.VALUES_CAME:
            each.arrive(state, *subject)
        elif what == Todo.SOURCE_OVER:
            each.source_over(state, *subject)
        elif what == Todo.STEP_READY:
            ready.ready(state, subject)
        elif what == Todo.STEP_ASKS:
            verify.ask_about_items(state, subject)
        elif what == Todo.INNER_ENDED:
            ready.frame_ended(state, subject)
        elif what == Todo.PLAN_STARTS:
            plan_worker.start(state, subject)
        elif what == Todo.ROUND_WORKED:
            rounds.round_worked(state, subject)
        elif what == Todo.BEGIN_ROUND:
            rounds.begin_round(state, subject)
        elif what == Todo.HOOK_ENDED:
            _hook_ended(state, subject)
        elif what == Todo.LOOP_ENDED:
            dispatch.child_ended(state, subject)
        elif what == Todo.LOOP_FULL:
            ending.full(state, subject)
        else:
            assert_never(what)


def _call_ended(state: RunState, call: Call) -> None:
    subject = call.subject
    if isinstance(subject, Task):
        dispatch.call_ended(state, call, subject)
    elif isinstance(subject, Check):
        verify.call_ended(state, call, subject)
    else:
        rounds.call_ended(state, call, subject)


def _hook_ended(state: RunState, run: HookRun) -> None:
    if run.loop.over:
        return
    if run.task is None:
        rounds.hook_ended(state, run)
        return
    rounds.settle_hook(state, run, dispatch.hook_ended(state, run))
