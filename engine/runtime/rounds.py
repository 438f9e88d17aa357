"""The rounds of one orchestrator: ask for a decision, run it, check, continue or end.

Every way round is bounded: `max_rounds` counts revisions, replans and failed rounds too, and a
bad decision is asked again at most `repair_max` times within its round.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, assert_never

import msgspec

from engine.errors import Failure
from engine.events import GateAnswered, TaskClosed
from engine.runtime import (
    attempts,
    causes,
    context,
    dispatch,
    ending,
    gates,
    notes,
    plan_review,
    shown,
    sizes,
    taint,
    verify,
    views,
)
from engine.runtime.causes import Cause
from engine.runtime.commands import SetTimer
from engine.runtime.decision import DecisionError, read_json
from engine.runtime.moves import enter_phase
from engine.runtime.plan_review import round_path
from engine.runtime.planning import OutOfDispatches, make_early_task, make_tasks
from engine.runtime.prompts import blocks, calls, rejections, remarks
from engine.runtime.stall import begin_again, observe
from engine.runtime.state import (
    Block,
    Call,
    Gate,
    HookRun,
    Loop,
    Remark,
    Round,
    RunState,
    Step,
    Task,
)
from engine.runtime.step_checks import StepChecks
from engine.runtime.steps.decided import known
from engine.runtime.steps.filling import Unmet, scope_of
from engine.runtime.wire_values import read_decision, read_task, write_decision
from engine.sema.expressions.template import EvaluationError
from engine.sema.plans.values import FromStep, NothingThere, fill, leaves
from engine.sizes import roughly, size_of, size_words

__all__ = [
    "ask",
    "begin_round",
    "call_ended",
    "check_plan",
    "check_result",
    "escalation_answered",
    "hook_ended",
    "round_worked",
    "settle_hook",
    "task_closed",
]

#: How much of a decision that could not be read stays in the prompt, in characters.
SHOWN_DECISION = 8_000
#: How much of what was wrong with it is told, in characters a problem.
SHOWN_PROBLEM = 2_000

_encode = msgspec.json.Encoder().encode


def begin_round(state: RunState, loop: Loop) -> None:
    """Open the next round, or end the loop where there is none left."""
    if loop.over:
        return
    policy = loop.orchestrator.policy
    if not loop.rounds and not _open_loop(state, loop):
        return
    if loop.round >= policy.max_rounds:
        reason = f"max_rounds = {policy.max_rounds} is reached and no result was accepted"
        if loop.feedback:
            reason += f" ({loop.feedback[-1].text})"
        cause = Cause(loop.orchestrator, "policy.max_rounds")
        ending.end(state, loop, "exhausted", reason, "max_rounds", cause=cause)
        return
    if not loop.rounds:
        loop.blocks.append(Block("user", blocks.opening(state, loop)))
    opened = Round(loop.round + 1, len(loop.blocks))
    before = loop.taken_back.pop(opened.number, None)
    if before is not None:  # its decisions have keys that are not given twice
        opened.attempts = opened.asked_before = before.attempts
        opened.rejected = before.rejected
    loop.rounds.append(opened)
    ask(state, loop)


def _open_loop(state: RunState, loop: Loop) -> bool:
    """Render the goal and the first block; it never changes afterwards."""
    if sizes.is_full(state, loop):
        return False  # its end is on the agenda
    orchestrator = loop.orchestrator
    scope = {
        **loop.input,
        "param": state.params,
    }
    loop.tainted = taint.loop_begins_tainted(state, loop)
    loop.shown_path = taint.shown_path(loop)
    try:
        loop.goal = orchestrator.goal.render(scope).strip()
        if orchestrator.instructions is not None:
            loop.instructions = orchestrator.instructions.render(scope).strip()
    except EvaluationError as error:
        cause = Cause(orchestrator, "goal", error.span)
        said = f"the goal cannot be rendered: {error}"
        ending.end(state, loop, "failed", said, cause=cause)
        return False
    if state.bounds:
        # It is in every prompt, and an input that it is made from may be large.
        sizes.keep(state, loop, size_of(loop.goal) + size_of(loop.instructions))
    loop.started_at = state.now
    loop.blocks.append(Block("system", lambda: blocks.role_and_catalogue(loop)))
    time_ms = orchestrator.policy.budget.time_ms
    if time_ms is not None:
        timer = SetTimer(ending.timer_name(loop), state.now + time_ms)
        state.timers[timer.timer] = timer
        state.commands.append(timer)
    return True


def ask(state: RunState, loop: Loop) -> None:
    """Ask the orchestrator's model for the decision of the round, or for another one."""
    enter_phase(loop, "deciding")
    notes.show(loop)
    loop.current.attempts += 1
    call = Call(_decision_key(loop), loop, loop)
    attempts.begin(state, call, loop.orchestrator.model, loop.current.chain_index)


def _decision_key(loop: Loop) -> str:
    return f"{loop.path}round {loop.round} / decision {loop.current.attempts}"


def call_ended(state: RunState, call: Call, loop: Loop) -> None:
    """The orchestrator's model has answered, or failed for good."""
    if loop.over:
        return
    _give_up_models(loop, call.chain_index)
    if call.failure is not None:
        _no_decision(state, loop, call, call.failure)
        return
    value = call.value
    key = _decision_key(loop)
    try:
        _check_whole(loop, call)
        decision = loop.decisions.read(_read(loop, value))
        said = decision if call.form is None else write_decision(decision, call.form)
        loop.blocks.append(Block("assistant", lambda: _encode(said).decode()))
        if "finish" in decision:
            result = finished_with(state, loop, decision)
            _check_result_size(state, loop, result)
            _accept(loop, decision)
            check_result(state, loop, result)
            return
        tasks = make_tasks(loop, decision, key, bounded=bool(state.bounds))
    except DecisionError as error:
        _bad_decision(state, loop, call, error)
        return
    _accept(loop, decision)
    loop.current.planned = tasks
    check_plan(state, loop)


def check_plan(state: RunState, loop: Loop) -> None:
    """The orchestrator has given tasks: ask the hooks whether they may start, where there are any.

    The tasks are in `Round.planned`.
    """
    if loop.orchestrator.hooks and loop.hooks("before_round"):
        enter_phase(loop, "reviewing")
        verify.begin(state, plan_review.passage(state, loop))
    else:
        _start_plan(state, loop)


def _start_plan(state: RunState, loop: Loop) -> None:
    enter_phase(loop, "working")
    dispatch.enter(state, loop, plan_review.take(loop))


def finished_with(state: RunState, loop: Loop, decision: dict[str, Any]) -> Any:
    """The result of a decision, its references replaced by what they lead to.

    Raises:
        DecisionError: A reference leads nowhere, to what has failed, or to what does not fit.
    """
    tree = loop.decisions.finish_tree(decision)
    if tree is None:
        return decision["finish"]
    checks = StepChecks([], loop.decisions.workers, partial(known, loop), loop.tasks)
    output = loop.orchestrator.output
    problems = [*_not_over(loop, tree), *checks.finish_problems(tree, output.schema)]
    if problems:
        raise DecisionError(problems)
    try:
        value = output.with_defaults(fill(tree, scope_of(loop, None, state.params)))
        problems = output.problems(value)
    except Unmet as error:
        problems = [error.failure.message]
    except NothingThere as error:
        problems = [str(error)]
    if not problems:
        return value
    # They quote values.
    unseen = shown.unseen_in_finish(loop, tree)
    raise DecisionError(
        [rejections.finish_problem(problem) for problem in problems],
        told=rejections.finish_problems_told(problems, unseen) if unseen else None,
    )


def _not_over(loop: Loop, tree: Any) -> Iterator[str]:
    """What is wrong with references of a result to tasks that began with this decision: such a one
    may still run, and its hooks may not have looked at what it gives."""
    for path, leaf in leaves(tree):
        entry = loop.entry(leaf.name) if isinstance(leaf, FromStep) else None
        if entry is not None and not entry.over:
            yield rejections.finish_not_over(path, entry.id)


def _check_whole(loop: Loop, call: Call) -> None:
    """Refuse a decision of which only the beginning is there.

    Raises:
        DecisionError: It was too large to be kept.
    """
    if call.whole:
        most = size_words(loop.orchestrator.policy.max_decision_bytes)
        raise DecisionError([rejections.decision_too_large(roughly(call.whole), most)])


def _check_result_size(state: RunState, loop: Loop, result: Any) -> None:
    """Refuse a result that is larger than the orchestrator may give.

    Raises:
        DecisionError: It is.
    """
    most = loop.orchestrator.max_bytes
    if state.bounds and size_of(result, most) > most:
        raise DecisionError([rejections.result_too_large(size_words(most))])


def _read(loop: Loop, value: object) -> object:
    """A model's text as a decision in the contract's form, whichever form it was written in."""
    if not isinstance(value, str):
        return value
    return read_decision(read_json(value), loop.decisions, nulls="null" in value)


def task_closed(state: RunState, event: TaskClosed) -> None:
    """A task has closed in a decision that still streams: start it, if that is beyond doubt."""
    call = state.calls.get(event.key)
    if call is None or call.attempt != event.attempt or not isinstance(call.subject, Loop):
        return
    loop = call.subject
    if loop.over or loop.phase != "deciding":
        return
    spec = dict(event.task)
    try:
        spec = read_task(spec, loop.decisions)
    except DecisionError:
        return  # the whole decision says what is wrong with it
    task = make_early_task(loop, spec, event.key, bounded=bool(state.bounds))
    if task is not None:
        dispatch.enter_early(state, loop, task)


def _accept(loop: Loop, decision: dict[str, object]) -> None:
    loop.current.decision = decision
    loop.current.feedback = loop.feedback
    loop.feedback = []


def _no_decision(state: RunState, loop: Loop, call: Call, failure: Failure) -> None:
    if failure.mode == "over_budget":
        ending.end(state, loop, "exhausted", failure.message, call.bound, cause=failure.cause)
    else:
        said = f"model `{loop.orchestrator.model}` failed, {failure.mode}: {failure.message}"
        ending.end(state, loop, "failed", said, cause=failure.cause)


def _give_up_models(loop: Loop, chain_index: int) -> None:
    """Ask the models before this one no more in this round; it has all of its repairs."""
    current = loop.current
    if chain_index > current.chain_index:
        current.chain_index = chain_index
        current.asked_before = current.attempts - 1
        current.broken_off = 0


def _bad_decision(state: RunState, loop: Loop, call: Call, error: DecisionError) -> None:
    """Ask again with the exact problems, then the next model; at last the round has failed.

    An answer that breaks off for the second time ends the run: each round would only ask for a
    longer one.
    """
    current, value = loop.current, call.value
    problems = [sizes.cut(state, problem, SHOWN_PROBLEM) for problem in error.problems]
    told = problems if error.told is None else error.told
    current.rejected.append("; ".join(problems))
    if loop.blocks[-1].role != "assistant":
        shown = value if isinstance(value, str) else _encode(value).decode()
        loop.blocks.append(Block("assistant", shown[:SHOWN_DECISION] or calls.EMPTY_ANSWER))
    current.broken_off += error.broken_off
    asked = current.attempts - current.asked_before
    if asked <= loop.orchestrator.policy.repair_max and current.broken_off < 2:
        _ask_again(state, loop, told)
        return
    if isinstance(error, OutOfDispatches):
        cause = Cause(loop.orchestrator, "policy.max_dispatches")
        said = "; ".join(problems)
        ending.end(state, loop, "exhausted", said, "max_dispatches", cause=cause)
        return
    if call.chain_index + 1 < len(call.chain):
        current.chain_index = call.chain_index + 1
        current.asked_before = current.attempts
        current.broken_off = 0
        _ask_again(state, loop, told)
        return
    if current.broken_off > 1:
        said = f"model `{call.chain[call.chain_index]}` failed, invalid_output: "
        cause = causes.of_call(state, call)
        ending.end(state, loop, "failed", said + rejections.BROKE_OFF_TWICE, cause=cause)
        return
    head = remarks.no_decision(loop.round)
    hidden = None if error.told is None else "; ".join(told)
    loop.feedback.append(Remark(head, "; ".join(problems), loop.tainted, hidden))
    _close_when_idle(state, loop)


def _ask_again(state: RunState, loop: Loop, problems: list[str]) -> None:
    loop.blocks.append(Block("user", blocks.rejection(problems, loop)))
    ask(state, loop)


def _close_when_idle(state: RunState, loop: Loop) -> None:
    """Close a round that gave no tasks of its own, once those that started early are over."""
    current = loop.current
    current.tasks = [*current.tasks, *loop.early.values()]
    loop.early = {}
    if current.open_tasks == 0:
        _close_round(state, loop)
    else:
        enter_phase(loop, "working")
        loop.closing = True


def check_result(state: RunState, loop: Loop, result: object) -> None:
    """The orchestrator wants to finish: ask the hooks whether its result will do."""
    enter_phase(loop, "finishing")
    loop.best = loop.result = result
    hooks = loop.hooks("before_finish")
    if not hooks:
        ending.finish(state, loop, result)
        return
    offers = views.hook_offers(state, loop, result=result, has_result=True)
    key = f"{round_path(loop)} / before_finish"
    verify.begin(state, HookRun(hooks, loop, key, offers, None))


def round_worked(state: RunState, loop: Loop) -> None:
    """Every task of the round is over: verify the round where it is due, then close it."""
    if loop.over or loop.phase != "working":
        return
    if loop.closing:
        loop.closing = False
        _close_round(state, loop)
        return
    enter_phase(loop, "verifying")
    hooks = [hook for hook in loop.hooks("after_round") if loop.round % hook.every == 0]
    if hooks:
        key = f"{round_path(loop)} / after_round"
        verify.begin(state, HookRun(hooks, loop, key, views.hook_offers(state, loop), None))
    else:
        _close_round(state, loop)


def hook_ended(state: RunState, run: HookRun) -> None:
    """The verifiers of a hook of the loop, and not of a task, have spoken."""
    loop = run.loop
    if loop.over:
        return
    outcome = verify.outcome(run)
    if outcome.action in ("pass", "warn"):
        _passed(state, run)
    elif outcome.action == "revise":
        _revise(state, run, outcome)
    else:
        settle_hook(state, run, outcome)


def _passed(state: RunState, run: HookRun) -> None:
    loop, point = run.loop, run.hook.point
    match point:
        case "before_finish":
            ending.finish(state, loop, loop.result)
        case "before_round":
            _start_plan(state, loop)
        case "after_round":
            _close_round(state, loop)
        case "before_dispatch" | "after_dispatch":
            raise AssertionError("a hook of a task belongs to `dispatch`")
        case _:
            assert_never(point)


def _revise(state: RunState, run: HookRun, outcome: verify.Outcome) -> None:
    """Tell the planner what was wrong; its next decision is another round."""
    loop, point = run.loop, run.hook.point
    match point:
        case "before_finish":
            loop.feedback.append(_remark(state, run, remarks.RESULT_REJECTED, outcome))
            _close_when_idle(state, loop)
        case "before_round":
            plan_review.take(loop, refused=True)
            head = remarks.PLAN_REJECTED_LATE if loop.early else remarks.PLAN_REJECTED
            loop.feedback.append(_remark(state, run, head, outcome))
            _close_when_idle(state, loop)
        case "after_round":
            loop.feedback.append(_remark(state, run, remarks.ROUND_REJECTED, outcome))
            _close_round(state, loop)
        case "before_dispatch" | "after_dispatch":
            raise AssertionError("a hook of a task belongs to `dispatch`")
        case _:
            assert_never(point)


def _remark(state: RunState, run: HookRun, head: str, outcome: verify.Outcome) -> Remark:
    heard = taint.hears_strangers(state, run)
    return Remark(head, outcome.feedback, heard, shown.told(state, run))


def settle_hook(state: RunState, run: HookRun, outcome: verify.Outcome) -> None:
    """Run what a hook's outcome means for the whole loop: `abort` or `escalate`."""
    if outcome.action == "abort":
        ending.end(state, run.loop, "aborted", outcome.feedback, cause=outcome.cause)
    elif outcome.action == "escalate":
        ending.escalate(state, run.loop, outcome.feedback, run)


def escalation_answered(state: RunState, gate: Gate, event: GateAnswered) -> None:
    """A person has decided what a hook or a stall handed over.

    An output given finishes the orchestrator with it; a bare approval lets the blocked step
    continue.
    """
    loop, run = gate.loop, gate.resume
    if event.answer != "approve":
        said = event.note or f"rejected by a person: {gate.message}"
        cause = _stall(loop) if run is None else Cause(run.hook)
        ending.end(state, loop, "aborted", said, cause=cause)
        return
    if event.output is not None:
        problem = ending.finish_escalated(state, loop, event.output, gate.message, by_person=True)
        if problem:
            state.warnings.append(f"the output given does not fit: {problem}")
            gates.ask(state, gate)
        return
    if event.note:
        loop.feedback.append(Remark(remarks.PERSON_SAYS, event.note))
    if run is not None and run.task is not None:
        verify.escalation_approved(state, gate, run, event)
    elif run is not None and run.rest:
        verify.let_pass(state, run)
    elif run is None:
        begin_again(loop)
        _append_round(state, loop, loop.current)
    else:
        _let_pass(state, run, gate.message)


def _let_pass(state: RunState, run: HookRun, asked: str) -> None:
    """A person has said yes to what a hook held up: carry on as if the hook had passed."""
    loop, point = run.loop, run.hook.point
    match point:
        case "before_finish":
            ending.finish_escalated(state, loop, loop.result, asked)
        case "before_round":
            _start_plan(state, loop)
        case "after_round":
            _close_round(state, loop)
        case "before_dispatch" | "after_dispatch":
            raise AssertionError("a hook of a task belongs to `verify`")
        case _:
            assert_never(point)


def _close_round(state: RunState, loop: Loop) -> None:
    """Append what the round brought to the prompt, look for a stall, continue."""
    policy = loop.orchestrator.policy
    over = loop.current
    if policy.stall is not None and not _keeps_moving(state, loop, over):
        return
    _append_round(state, loop, over)


def _append_round(state: RunState, loop: Loop, over: Round) -> None:
    over.closed = True
    brought: list[Task | Step] = [*over.tasks, *over.steps]
    feedback = list(loop.feedback)
    loop.tainted = loop.tainted or taint.is_read(brought, feedback)
    left = blocks.left_block(state, loop, loop.round + 1)
    loop.blocks.append(Block("user", lambda: blocks.round_block(loop, over, feedback, left)))
    context.compact(state, loop)
    begin_round(state, loop)


def _keeps_moving(state: RunState, loop: Loop, over: Round) -> bool:
    """Detect a stall: rounds that brought nothing, or too little, that was not there before.

    Returns:
        Whether the loop continues (perhaps with a request to plan again).
    """
    stall = loop.orchestrator.policy.stall
    assert stall is not None
    novelty = observe(loop, over, state.stall)
    loop.stalled = 0 if novelty.new else loop.stalled + 1
    if loop.stalled < stall.after:
        return True
    said = remarks.no_progress(loop.stalled, novelty.why, certain=novelty.certain)
    if stall.action == "abort":
        ending.end(state, loop, "aborted", f"stalled: {said}", cause=_stall(loop))
        return False
    if stall.action == "escalate":
        ending.escalate(state, loop, f"stalled: {said}")
        return False
    if loop.replans >= stall.max_replans:
        reason = f"stalled: {said}, after {loop.replans} new plans"
        ending.end(state, loop, "exhausted", reason, "max_replans", cause=_stall(loop))
        return False
    loop.replans += 1
    begin_again(loop)
    loop.feedback.append(Remark(remarks.replan(said)))
    return True


def _stall(loop: Loop) -> Cause:
    return Cause(loop.orchestrator, "policy.stall")
