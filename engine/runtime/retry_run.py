"""A run that had ended is taken up where it ended: what failed is tried again, what is done stays.

Each orchestrator continues in the last round whose results no accepted decision has used: earlier
failures the planner has seen and planned around. Rounds without a decision that follow it are taken
back (`_take_back`). In that round

- a decision that was not made is asked for again;
- a task that failed, or was cut off by the end, runs again with the same task key, and
  so with the same idempotency key; a sub-orchestrator continues where it ended in its turn;
- a `once` task that had begun is never run again, nor is one that was denied;
- checks that did not let the run continue, or a plan start, look again.

Bounds are as they were: a run that was exhausted by one is exhausted again unless it is raised.
The keys of calls that are made again end in `again N`, N the number of the retry.
"""

from __future__ import annotations

from engine.runtime import dispatch, ending, rounds, sizes
from engine.runtime.commands import SetTimer
from engine.runtime.moves import enter_phase, move
from engine.runtime.prompts import remarks
from engine.runtime.prompts.blocks import rejection
from engine.runtime.stall import begin_again
from engine.runtime.state import Block, Loop, RunState, Step, Task, Todo
from engine.runtime.steps import retrying
from engine.sema.model import Orchestrator

__all__ = ["again", "reopen"]


def reopen(state: RunState, *, unused: bool) -> bool:
    """Resume the run.

    Args:
        unused: What `RunRetried.unused` says.

    Returns:
        False where it had not ended at all under its present program: then there is nothing to
        undo, and it is taken over like any run that was interrupted.
    """
    state.retries += 1
    state.ended = False
    state.retries_unused = unused
    root = state.root
    if root is None or root.phase != "over":
        return False
    state.status = "running"
    state.reason = ""
    state.bound = None
    _reopen(state, root)
    sizes.keep(state, root, 0)  # a run that keeps too much ends again before it asks for more
    return True


def _reopen(state: RunState, loop: Loop) -> None:
    loop.status = "running"
    loop.reason = ""
    loop.cause = None
    loop.bound = None
    loop.held = None
    loop.best = loop.result
    begin_again(loop)
    loop.running = 0
    loop.queue.clear()
    time_ms = loop.orchestrator.policy.budget.time_ms
    if time_ms is not None and loop.rounds:
        timer = SetTimer(ending.timer_name(loop), loop.started_at + time_ms)
        state.timers[timer.timer] = timer
        state.commands.append(timer)
    enter_phase(loop, "working", retried=True)
    if not loop.rounds:
        state.todo(Todo.BEGIN_ROUND, loop)
        return
    if state.retries_unused:
        _take_back(loop)
    current = loop.current
    current.again = state.retries
    planned = bool(current.planned) and not current.closed
    undecided = current.decision is None and not current.tasks and not current.closed
    tasks = retrying.unfinished([*current.tasks, *loop.early.values(), *current.steps])
    if current.closed:
        if not tasks:
            state.todo(Todo.BEGIN_ROUND, loop)
            return
        # What the prompt says of the round is not true any more, and it has not been read.
        loop.blocks.pop()
        current.closed = False
    if undecided:
        enter_phase(loop, "deciding", retried=True)
    elif planned:
        enter_phase(loop, "reviewing", retried=True)
    _take_up(state, loop, tasks)
    if undecided:
        current.chain_index = current.asked_before = current.broken_off = 0
        if loop.blocks[-1].role == "assistant":
            # The run ended with a decision that was not accepted; it was never said why.
            problems = current.rejected[-1:]
            loop.blocks.append(Block("user", rejection(problems, loop)))
        rounds.ask(state, loop)
    elif planned:
        rounds.check_plan(state, loop)
    elif current.decision is not None and "finish" in current.decision and not loop.closing:
        rounds.check_result(state, loop, loop.result)
    elif not tasks:
        state.todo(Todo.ROUND_WORKED, loop)


def _take_back(loop: Loop) -> None:
    """Return to the last round with tasks that failed, if no decision was accepted since.

    A round that is taken back is opened again later, and its decisions are numbered on.
    """
    rounds_since = 0
    for one in reversed(loop.rounds):
        if one.decision is not None or one.tasks or one.steps:
            break
        rounds_since += 1
    kept = loop.rounds[: len(loop.rounds) - rounds_since]
    if not rounds_since or not kept or loop.early:
        return
    last, after = kept[-1], loop.rounds[len(kept)]
    compacted = after.first_block <= last.first_block
    if compacted or not retrying.unfinished([*last.tasks, *last.steps]):
        return
    for gone in loop.rounds[len(kept) :]:
        loop.taken_back[gone.number] = gone
        loop.notes = [*gone.notes, *loop.notes]
    loop.rounds = kept
    del loop.blocks[after.first_block :]
    loop.settled_input = None
    loop.feedback = [said for said in loop.feedback if said.head == remarks.PERSON_SAYS]


def _take_up(state: RunState, loop: Loop, entries: list[Task | Step]) -> None:
    """Start the tasks and steps of a round that are to be done again."""
    # Only what runs again will count down, so the counts are rebuilt from that. This must be
    # complete before anything starts: a task can end at once (a cached `pure` result), and would
    # otherwise count down what is not counted yet.
    loop.current.open_tasks = len(entries)
    loop.breakers.clear()
    # Those of a plan that its hooks look at again wait too, and are started by them.
    held = [one for one in loop.current.planned if loop.early.get(one.id) is not one]
    retrying.recount([*entries, *held])
    retrying.take_up(state, entries, _retry)


def again(state: RunState, task: Task) -> None:
    """Carry a task of a step on whose input is the same as before the retry."""
    if not task.loop.over:
        _retry(state, task)


def _retry(state: RunState, task: Task) -> None:
    """Carry a task on from where it was, as far as that is known."""
    if task.rested:
        task.rested = False
        if task.failure is None:
            dispatch.check_output(state, task, task.output)
        else:
            dispatch.end_task(state, task, failure=task.failure)
        return
    status, failure = task.status, task.failure
    task.again = state.retries
    task.call = None
    task.acting = task.worker
    task.failure = task.partial = task.ended_at = None
    task.cached = False
    if status == "verifying":
        dispatch.check_output(state, task, task.output)
        return
    task.output = None
    if task.child is not None and not task.waits and (status == "running" or failure is not None):
        move(task, "running", retried=True)
        _reopen(state, task.child)
        return
    entered = status in ("running", "done") or failure is not None
    if task.plan is not None and entered and task.waits:
        state.entered[task.key] = (task.resolved, failure)
    elif task.plan is not None and entered:
        move(task, "running", retried=True)
        retrying.reopen_frame(state, task.plan, _retry)
        return
    move(task, "blocked", retried=True)
    if task.waits:
        return
    has_input = task.tree is None and task.when is None
    let_in = status in ("queued", "running") or (
        failure is not None and failure.mode != "unmet_reference" and has_input
    )
    if let_in and not isinstance(task.worker, Orchestrator):
        dispatch.queue(state, task)
    else:
        state.todo(Todo.TASK_READY, task)
