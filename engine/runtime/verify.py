"""Verifiers: bound to what a hook offers, asked, and their verdicts turned into an outcome.

A verifier sees the goal, the decision and the record of calls, never the orchestrator's own
reasoning. `rules` are evaluated here, for they are pure; every other kind is a call. A verdict
that is missing or malformed counts as a failed one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from engine.events import GateAnswered
from engine.runtime import approvals, attempts, causes, clearing, gates, grants, sizes, views
from engine.runtime.causes import Cause
from engine.runtime.prompts import remarks
from engine.runtime.relevance import looks
from engine.runtime.state import Call, Check, Gate, HookRun, RunState, Step, Todo
from engine.runtime.steps import asking
from engine.sema.expressions.template import EvaluationError, Template
from engine.sema.model import OnFail, Verifier
from engine.sizes import size_of, size_words
from engine.source import Span

__all__ = [
    "Outcome",
    "answered",
    "ask_about_items",
    "begin",
    "call_ended",
    "escalation_approved",
    "let_pass",
    "outcome",
    "rules_verdict",
    "supersede",
]

Action = Literal["pass"] | OnFail


class Outcome(msgspec.Struct, frozen=True):
    """What follows from a hook: the action, what its verifiers said, and what it is about: the
    hook, or what kept a verifier from a verdict."""

    action: Action
    feedback: str = ""
    cause: Cause | None = None


def begin(state: RunState, run: HookRun) -> None:
    """Start the next checks of a passage; with none left, the passage is over."""
    while names := _next(state, run):
        run.waits = len(names)
        for name in names:
            _look(state, run, state.program.verifiers[name])
        if run.waits:
            return
    state.todo(Todo.HOOK_ENDED, run)


def _next(state: RunState, run: HookRun) -> tuple[str, ...]:
    """The verifiers that have their turn: those of `else`, or of the next hook that looks."""
    if run.overruled and not run.failed and not run.passed:
        # All of `else` were skipped, so the no of `with` has not been overruled.
        run.failed, run.overruled = run.overruled, []
    # A person's no is final: a rule that is asked after it must not undo it.
    if run.failed and run.hook.otherwise and not run.chained and not run.refused:
        run.ask_otherwise()
        return run.hook.otherwise
    if not _goes_on(run):
        return ()
    while run.rest:
        run.next_hook()
        if looks(state, run):
            return run.hook.verifiers
    return ()


def _goes_on(run: HookRun) -> bool:
    """Whether the next hook has its turn: there is one, and the last passed or only warns."""
    if not run.failed:
        run.cleared = clearing.after_pass(run.cleared, run.hook, run.passes)
        run.overruled = []
    elif _action(run) == "warn":
        if any(verifier.facts.done_by == "person" for verifier in run.passes):
            run.cleared = clearing.by_a_person(run.cleared, run.hook)
        if not run.rest:
            return False
        run.failed.clear()
    else:
        return False
    run.passed = 0
    run.passes = []
    return bool(run.rest)


def _look(state: RunState, run: HookRun, verifier: Verifier) -> None:
    bound = _bound(run, verifier)
    check = Check(verifier, run, bound)
    most = _most(run)
    check.bound_bytes = size_of(bound, most) if state.bounds else 0
    if check.bound_bytes > most:
        cause = Cause(run.loop.orchestrator, "policy.max_input_bytes")
        _verdict(state, run, check, False, remarks.not_asked(size_words(most)), cause)
        return
    if not verifier.inputs.is_valid(bound):
        problems = "; ".join(verifier.inputs.problems(bound))
        cause = causes.of_input(verifier, problems)
        _verdict(state, run, check, False, remarks.inputs_do_not_match(problems), cause)
        return
    scope = {**bound, **_globals(state)}
    if verifier.skip_when is not None:
        try:
            skip = bool(verifier.skip_when.evaluate(scope))
        except EvaluationError as error:
            cause = Cause(verifier, "skip_when", error.span)
            said = remarks.cannot_evaluate("skip_when", error)
            _verdict(state, run, check, False, said, cause)
            return
        if skip:
            run.waits -= 1
            _counted_down(state, run)
            return
    if verifier.facts.done_by == "person":
        _ask_person(state, run, check, scope)
        return
    if verifier.facts.done_by == "machine":
        faults: list[Span | None] = []
        ok, feedback = rules_verdict(verifier, scope, faults)
        fault = Cause(verifier, "", faults[0]) if faults else None
        _judge(state, run, check, {"ok": ok, "feedback": feedback}, fault)
        return
    call = Call(_key(run, verifier), run.loop, check)
    check.call = call
    attempts.begin(state, call, verifier.facts.model)


def _most(run: HookRun) -> int:
    """What an input may take."""
    return run.loop.orchestrator.policy.max_input_bytes


def _bound(run: HookRun, verifier: Verifier) -> dict[str, Any]:
    """A verifier's input, from what the hook offers."""
    names = verifier.inputs.schema.get("properties", {})
    bound = {name: _taken(run.offers[name], verifier) for name in names if name in run.offers}
    given: dict[str, Any] = verifier.inputs.with_defaults(bound)
    return given


def _taken(offer: Callable[[], Any], verifier: Verifier) -> Any:
    if isinstance(offer, views.About):
        return offer.as_taken(verifier.inputs.schema)
    return offer()


def _key(run: HookRun, verifier: Verifier) -> str:
    """The key of a look: two hooks of one point may have the same verifier."""
    hook = f" / hook {run.number}" if run.number > 1 else ""
    hook += " / else" if run.chained else ""
    return f"{run.key}{hook} / verify {verifier.name}"


def _ask_person(state: RunState, run: HookRun, check: Check, scope: Mapping[str, Any]) -> None:
    """Open a gate, unless a person has already approved exactly this."""
    verifier = check.verifier
    if approvals.is_approved(state, check):
        _verdict(state, run, check, True, remarks.APPROVED_BEFORE)
        return
    try:
        message = _text(verifier.settings.get("message"), scope)
    except EvaluationError as error:
        cause = Cause(verifier, "message", error.span)
        _verdict(state, run, check, False, remarks.message_not_rendered(error), cause)
        return
    message = sizes.cut(state, message or verifier.doc or f"Approve {run.key}?", sizes.MAX_ASKED)
    task = run.task
    if task is not None and task.status == "checking" and task.step and task.step.gathers:
        asking.park(state, task.step, check, message)
        return
    gates.ask(
        state,
        Gate(
            _key(run, verifier),
            "approval",
            run.loop,
            message,
            task=task,
            check=check,
            options=tuple(verifier.settings.get("options") or ()),
            timeout_ms=verifier.timeout_ms,
        ),
    )


def answered(state: RunState, gate: Gate, event: GateAnswered) -> None:
    """A person has answered a `human` verifier, or the time ran out."""
    if gate.checks:
        _answered_items(state, gate, event)
        return
    check = gate.check
    assert check is not None
    run = check.hook_run
    if event.answer == "approve" and run.hook.point == "before_round":
        grants.approve(state, run.loop, check.verifier.name, run.loop.current.planned)
        _verdict(state, run, check, True, event.note)
    elif event.answer == "approve":
        edit = _take_edit(state, run, event)
        if edit == "does not fit":
            gates.ask(state, gate)
            return
        if edit == "taken":
            again = _passage_again(state, run)
            # What the person has said holds for the new input; the others' words did for the old.
            approvals.approve(state, Check(check.verifier, again, _bound(again, check.verifier)))
            begin(state, again)
            return
        approvals.approve(state, check)
        _verdict(state, run, check, True, event.note)
    else:
        _refused(state, check, event)
    if run.waits == 0:
        begin(state, run)


def _refused(state: RunState, check: Check, event: GateAnswered) -> None:
    """A person has not approved what a check is about."""
    run = check.hook_run
    late = event.answer == "timeout"
    said = remarks.NO_ANSWER if late else event.note or remarks.REJECTED
    if late and check.verifier.on_timeout in ("abort", "escalate"):
        run.forced = check.verifier.on_timeout
    else:
        # What a person has rejected must not continue because the hook only warns.
        run.forced = "abort" if run.hook.on_fail == "warn" else None
    run.refused = run.refused or not late
    _verdict(state, run, check, False, said)


def ask_about_items(state: RunState, step: Step) -> None:
    """Ask a person about the items of a step, if others have looked at all of them."""
    if step.loop.over:
        return
    for check in asking.open_gates(state, step):
        run = check.hook_run
        run.waits -= 1
        if run.waits == 0:
            begin(state, run)


def _answered_items(state: RunState, gate: Gate, event: GateAnswered) -> None:
    """A person has answered for the items of a step: those that are named, or all of them.

    An approval of some refuses the others, unless it says that they stay open; a refusal of some
    leaves the others open.
    """
    named, others = asking.chosen(gate, event)
    approves = event.answer == "approve"
    stay = event.keep_others or not approves
    settled = [gate.checks[place] for place in (named if stay else range(len(gate.checks)))]
    yes = {id(gate.checks[place]) for place in named} if approves else set()
    if stay and others:
        gate.checks = [gate.checks[place] for place in others]
        gate.questions = [gate.questions[place] for place in others]
        gate.tasks = [gate.tasks[place] for place in others]
        gates.ask(state, gate)
    for check in settled:
        run = check.hook_run
        if id(check) in yes:
            approvals.approve(state, check)
            _verdict(state, run, check, True, event.note)
        else:
            _refused(state, check, event)
    for check in settled:
        if check.hook_run.waits == 0:
            begin(state, check.hook_run)


def escalation_approved(state: RunState, gate: Gate, run: HookRun, event: GateAnswered) -> None:
    """A person has let pass what a dispatch hook escalated, perhaps with another input."""
    edit = _take_edit(state, run, event)
    if edit == "does not fit":
        gates.ask(state, gate)
        return
    approvals.approve_escalated(state, run)
    if edit == "taken":
        begin(state, _passage_again(state, run))
    else:
        let_pass(state, run)


def let_pass(state: RunState, run: HookRun) -> None:
    """A person has overruled a hook: those after it have still to look."""
    run.let_pass()
    begin(state, run)


def _take_edit(
    state: RunState, run: HookRun, event: GateAnswered
) -> Literal["none", "taken", "does not fit"]:
    """Take in the input that a person gives a task with their yes.

    Returns:
        `taken` where it is another one: then all hooks have to look at that.
    """
    task = run.task
    if event.edit is None or task is None or task.status != "checking":
        return "none"
    edited = task.worker.inputs.with_defaults(event.edit)
    if sizes.unfit(state, edited, task.worker.inputs, _most(run)):
        state.warnings.append(f"the edited input of {task.id} does not fit; asking again")
        return "does not fit"
    if edited == task.resolved:
        return "none"
    before, after = state.edited.get(task.key, (None, None))
    # What was filled in again since counts, not what an earlier edit was about.
    if before is None or after is not task.resolved:
        before = task.resolved
    state.edited[task.key] = before, edited
    task.resolved = edited
    task.input_bytes = size_of(edited)
    task.edits += 1
    supersede(state, run)
    return "taken"


def _passage_again(state: RunState, run: HookRun) -> HookRun:
    """The hooks of a task, which have to look at the input that a person has given it.

    The person's yes is for that input, also where no hook looks at it any more.
    """
    task, loop = run.task, run.loop
    assert task is not None
    hooks = loop.hooks("before_dispatch", task.worker.name)
    key = f"{task.key} / before / edit {task.edits}"
    again = HookRun(hooks, loop, key, views.hook_offers(state, loop, task), task)
    again.cleared = clearing.by_a_person(again.cleared, run.hook)
    return again


def supersede(state: RunState, run: HookRun) -> None:
    """A person has changed what the hooks look at: their words no longer count."""
    run.superseded = True
    for key, gate in list(state.gates.items()):
        if gate.check is not None and gate.check.hook_run is run:
            del state.gates[key]


def _globals(state: RunState) -> dict[str, Any]:
    return {"param": state.params}


def rules_verdict(
    verifier: Verifier, scope: Mapping[str, Any], faults: list[Span | None] | None = None
) -> tuple[bool, str]:
    """Whether every assertion of a `rules` verifier holds in a scope, and what is wrong if not.

    Args:
        faults: Gets the place of each assertion that cannot be evaluated.
    """
    said = []
    for assertion in verifier.assertions:
        try:
            if assertion.test.evaluate(scope):
                continue
            said.append(assertion.say(scope) or remarks.assertion_failed(assertion.test.text))
        except EvaluationError as error:
            said.append(remarks.cannot_evaluate(f"`{assertion.test.text}`", error))
            if faults is not None:
                faults.append(error.span or assertion.span)
    return not said, "; ".join(said)


def _text(value: Template | str | None, scope: Mapping[str, Any]) -> str:
    return value.render(scope) if isinstance(value, Template) else value or ""


def _judge(
    state: RunState,
    run: HookRun,
    check: Check,
    verdict: dict[str, Any],
    cause: Cause | None = None,
) -> None:
    """Apply `pass_when` to a well-formed verdict."""
    verifier = check.verifier
    ok = bool(verdict["ok"])
    feedback = str(verdict.get("feedback") or "")
    if verifier.pass_when is not None:
        scope = {
            **check.bound,
            **_globals(state),
            "ok": ok,
            "feedback": feedback,
            "score": verdict.get("score"),
        }
        try:
            ok = bool(verifier.pass_when.evaluate(scope))
        except EvaluationError as error:
            ok, feedback = False, remarks.cannot_evaluate("pass_when", error)
            cause = Cause(verifier, "pass_when", error.span)
        if not ok and not feedback:
            feedback = remarks.not_true(verifier.pass_when.text)
    _verdict(state, run, check, ok, feedback, cause)


def _verdict(
    state: RunState,
    run: HookRun,
    check: Check,
    ok: bool,
    feedback: str,
    cause: Cause | None = None,
) -> None:
    name = check.verifier.name
    feedback = sizes.cut(state, feedback)
    run.loop.current.verdicts.append((run.hook.point, name, ok, feedback))
    if ok:
        run.passed += 1
        run.passes.append(check.verifier)
    else:
        run.failed.append((name, feedback or remarks.NOT_OK, cause))
    run.waits -= 1
    _counted_down(state, run)


def _counted_down(state: RunState, run: HookRun) -> None:
    """One verifier less is waited for: the step of an item may have been waiting for that one."""
    step = run.task.step if run.task is not None else None
    if step is not None and step.gathers:
        asking.looked(state, step, run)


def call_ended(state: RunState, call: Call, check: Check) -> None:
    """A verifier's call has ended: with a verdict, or without one, which is a failed one."""
    run = check.hook_run
    if run.loop.over or run.superseded:
        return
    if call.failure is not None:
        _verdict(state, run, check, False, remarks.no_verdict(call.failure), call.failure.cause)
    else:
        _judge(state, run, check, call.value)
    if run.waits == 0:
        begin(state, run)


def outcome(run: HookRun) -> Outcome:
    """What follows from a passage that is over, counting revisions."""
    if not run.failed:
        return Outcome("pass")
    said_no = [*run.overruled, *run.failed]
    feedback = "; ".join(f"{name}: {said}" for name, said, _ in said_no)
    faults = [cause for _, _, cause in said_no if cause is not None]
    action = _action(run)
    if action == "revise" and not _counted(run):
        key = _revision_key(run)
        run.loop.revisions[key] = run.loop.revisions.get(key, 0) + 1
        if _of_items(run):
            run.loop.revisions[_round_key(run)] = 1
    return Outcome(action, feedback, faults[0] if faults else Cause(run.hook))


def _action(run: HookRun) -> Action:
    """What follows from a hook that did not pass."""
    hook = run.hook
    if run.forced is not None:
        return run.forced
    if hook.on_fail != "revise":
        return hook.on_fail
    if _counted(run):
        return "revise"
    used = run.loop.revisions.get(_revision_key(run), 0)
    return "revise" if used < hook.max_revisions else hook.then


def _of_items(run: HookRun) -> bool:
    """Whether a hook looks at an item before it starts: the items of a plan are revised as one."""
    task = run.task
    return task is not None and task.step is not None and task.status == "checking"


def _round_key(run: HookRun) -> str:
    return f"{_revision_key(run)} round {run.loop.round}"


def _counted(run: HookRun) -> bool:
    """Whether this round's plan has been sent back for other items of this worker already."""
    return _of_items(run) and _round_key(run) in run.loop.revisions


def _revision_key(run: HookRun) -> str:
    """What `max_revisions` counts for: a worker before, a task after dispatch, else the run."""
    task, hook = run.task, run.hook
    subject = "run"
    if task is not None:
        subject = task.worker.name if task.status == "checking" else task.id
    return f"{hook.point} {hook.worker or ''} {hook.span.start} {subject}"
