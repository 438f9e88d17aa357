"""Verifiers: bound to what a hook offers, asked, and their verdicts turned into an outcome.

A verifier sees the goal, the decision and the record of calls, never the orchestrator's own
reasoning. `rules` are evaluated here, for they are pure; every other kind is a call. A verdict
that is missing or malformed counts as a failed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from engine.events import GateAnswered
from engine.runtime import attempts, causes, gates, grants, sizes, views
from engine.runtime.causes import Cause
from engine.runtime.prompts import remarks
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
    """Start the checks of the next hook of a passage; with none left, the passage is over."""
    while _goes_on(run):
        run.hook = run.rest.popleft()
        run.number += 1
        run.waits = len(run.hook.verifiers)
        for name in run.hook.verifiers:
            _look(state, run, state.program.verifiers[name])
        if run.waits:
            return
    state.todo(Todo.HOOK_ENDED, run)


def _goes_on(run: HookRun) -> bool:
    """Whether the next hook has its turn: there is one, and the last passed or only warns."""
    if not run.failed:
        # A hook that only warns lets pass what it does not like, so it cleans nothing.
        run.cleaned = run.cleaned or (run.passed > 0 and run.hook.on_fail != "warn")
    elif run.rest and _action(run) == "warn":
        run.failed.clear()
    else:
        return False
    run.passed = 0
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
    schema = verifier.inputs.schema
    bound: dict[str, Any] = {}
    for name in schema.get("properties", {}):
        offer = run.offers.get(name)
        if isinstance(offer, views.About):
            bound[name] = offer.as_taken(schema)
        elif offer is not None:
            bound[name] = offer()
    given: dict[str, Any] = verifier.inputs.with_defaults(bound)
    return given


def _key(run: HookRun, verifier: Verifier) -> str:
    """The key of a look: two hooks of one point may have the same verifier."""
    hook = f" / hook {run.number}" if run.number > 1 else ""
    return f"{run.key}{hook} / verify {verifier.name}"


def _ask_person(state: RunState, run: HookRun, check: Check, scope: Mapping[str, Any]) -> None:
    """Open a gate, unless a person has already approved exactly this."""
    verifier = check.verifier
    if _approved_before(state, run, check):
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


def _approved_before(state: RunState, run: HookRun, check: Check) -> bool:
    """Whether a person has already approved what a verifier is asked about."""
    name = check.verifier.name
    if run.hook.point == "before_round":
        return grants.covers(state, run.loop, name, run.loop.current.planned)
    task = run.task
    if task is not None and task.status == "checking" and grants.is_granted(state, task, name):
        return True
    return _approval(run, check) in state.approved


def _approval(run: HookRun, check: Check) -> bytes:
    """What an approval is good for: this worker with this input, whatever the plan around it.

    After a new plan a person is asked again only for what was not approved before. What came back
    is part of it: another page at the same address is another page.
    """
    task = run.task
    worker = task.worker.name if task is not None else ""
    resolved = task.resolved if task is not None else None
    output = task.output if task is not None and task.status == "verifying" else None
    return sizes.fingerprint([check.verifier.name, worker, check.bound, resolved, output])


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
        task = run.task
        if event.edit is not None and task is not None and task.status == "checking":
            edited = task.worker.inputs.with_defaults(event.edit)
            if sizes.unfit(state, edited, task.worker.inputs, _most(run)):
                state.warnings.append(f"the edited input of {task.id} does not fit; asking again")
                gates.ask(state, gate)
                return
            if edited != task.resolved:
                before, after = state.edited.get(task.key, (None, None))
                # What was filled in again since counts, not what an earlier edit was about.
                if before is None or after is not task.resolved:
                    before = task.resolved
                state.edited[task.key] = before, edited
                task.resolved = edited
                task.input_bytes = size_of(edited)
                _look_again(state, run, check)
                return
        state.approved.add(_approval(run, check))
        _verdict(state, run, check, True, event.note)
    else:
        _refused(state, check, event)
    if run.waits == 0:
        begin(state, run)


def _refused(state: RunState, check: Check, event: GateAnswered) -> None:
    """A person has not approved what a check is about."""
    run = check.hook_run
    if event.answer == "timeout":
        run.forced = check.verifier.on_timeout
        said = remarks.NO_ANSWER
    else:
        # What a person has rejected must not continue because the hook only warns.
        run.forced = "abort" if run.hook.on_fail == "warn" else None
        said = event.note or remarks.REJECTED
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
            state.approved.add(_approval(run, check))
            _verdict(state, run, check, True, event.note)
        else:
            _refused(state, check, event)
    for check in settled:
        if check.hook_run.waits == 0:
            begin(state, check.hook_run)


def _look_again(state: RunState, run: HookRun, check: Check) -> None:
    """A person has approved another input than the hooks have seen: all of them look at that one.

    What the person has said holds for the new input; the others' words held for the old one.
    """
    task = run.task
    assert task is not None
    supersede(state, run)
    task.edits += 1
    hooks = task.loop.hooks("before_dispatch", task.worker.name)
    again = HookRun(
        hooks,
        task.loop,
        f"{task.key} / before / edit {task.edits}",
        views.hook_offers(state, task.loop, task),
        task,
    )
    approved = Check(check.verifier, again, _bound(again, check.verifier))
    state.approved.add(_approval(again, approved))
    begin(state, again)


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
    feedback = "; ".join(f"{name}: {said}" for name, said, _ in run.failed)
    faults = [cause for _, _, cause in run.failed if cause is not None]
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
