"""What a person's approval of one task applies to: this worker with this input, in this run.

An approval of a `human` verifier applies to that verifier, and one of an escalated hook to that
hook. After dispatch, both apply to this output only: another page at the same address is another
page. The plan around the task, its id and its round do not count, so after a new plan a person is
asked again only for what was not approved before. A call that strangers may have repeated is
approved for its own task alone. Approvals of whole plans are in `engine.runtime.grants`.
"""

from __future__ import annotations

from typing import Any

from engine.runtime import clearance, grants, sizes
from engine.runtime.state import Check, HookRun, RunState

__all__ = ["approve", "approve_escalated", "escalated_before", "is_approved"]


def approve(state: RunState, check: Check) -> None:
    """A person has let pass what a `human` verifier asked about."""
    of_check = _of_check(check)
    state.approved |= {of_check, _for_task(of_check, check.hook_run)}


def is_approved(state: RunState, check: Check) -> bool:
    """Whether a person has already approved what a verifier is asked about."""
    run, name = check.hook_run, check.verifier.name
    if run.hook.point == "before_round":
        return grants.covers(state, run.loop, name, run.loop.current.planned)
    task = run.task
    if task is not None and task.status == "checking" and grants.is_granted(state, task, name):
        return True
    return _holds(state, _of_check(check), run)


def approve_escalated(state: RunState, run: HookRun) -> None:
    """A person has let pass what a dispatch hook escalated, with the input that it has now."""
    of_hook = _of_hook(run)
    state.approved |= {of_hook, _for_task(of_hook, run)}


def escalated_before(state: RunState, run: HookRun) -> bool:
    """Whether a person has already let pass what a dispatch hook escalates."""
    return _holds(state, _of_hook(run), run)


def _holds(state: RunState, approved: bytes, run: HookRun) -> bool:
    """Whether an approval has been given, and may answer for this task too."""
    if approved not in state.approved:
        return False
    task = run.task
    if task is None or task.status != "checking" or clearance.repeated(state, task) is None:
        return True
    return _for_task(approved, run) in state.approved


def _for_task(approved: bytes, run: HookRun) -> bytes:
    return sizes.fingerprint([approved.hex(), "" if run.task is None else run.task.key])


def _of_check(check: Check) -> bytes:
    run = check.hook_run
    # What else the verifier has read of the run, such as the plan, may be another each time.
    bound = check.bound if run.task is None else None
    return sizes.fingerprint([check.verifier.name, *_about(run), bound])


def _of_hook(run: HookRun) -> bytes:
    hook = run.hook
    names = [hook.point, *hook.verifiers, "else", *hook.otherwise]
    return sizes.fingerprint(["escalation", names, *_about(run)])


def _about(run: HookRun) -> list[Any]:
    task = run.task
    if task is None:
        return ["", None, None]
    output = task.output if task.status == "verifying" else None
    return [task.worker.name, task.resolved, output]
