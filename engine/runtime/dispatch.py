"""The steps of a task: ready when its inputs exist, queued for a slot, run, checked, ended.

A task starts as soon as its inputs exist; there is no barrier. Tasks are isolated: if one fails,
only tasks that refer to it fail too, and report the reason (`unmet_reference`).
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import Failure
from engine.events import GateAnswered
from engine.runtime import (
    approvals,
    attempts,
    clearance,
    clearing,
    ending,
    endorsed,
    forks,
    gates,
    grants,
    shown,
    sizes,
    sourced,
    taint,
    verify,
    views,
)
from engine.runtime.budget import Ledger
from engine.runtime.causes import Cause, of_input
from engine.runtime.clearing import Cleared
from engine.runtime.decision import DecisionContract
from engine.runtime.moves import move
from engine.runtime.prompts import remarks
from engine.runtime.references import PointerError, resolve
from engine.runtime.state import Call, Gate, HookRun, Loop, Remark, RunState, Step, Task, Todo
from engine.runtime.steps import asking, breaker, filling
from engine.runtime.steps.items import begun_once
from engine.sema.model import Budget, Orchestrator, Worker, fallback_chain
from engine.sizes import size_of, size_words

__all__ = [
    "call_ended",
    "check_output",
    "child_ended",
    "end_task",
    "enter",
    "enter_early",
    "entry_ended",
    "hold_back",
    "hook_ended",
    "outcome_answered",
    "queue",
    "ready",
]

_NO_BUDGET = Budget()


def enter(state: RunState, loop: Loop, entries: Sequence[Task | Step]) -> None:
    """Take a decision's tasks and steps in; those that wait for nothing are ready at once.

    Tasks that started early and are not in the decision belong to the round anyway.
    """
    current = loop.current
    early = loop.early
    tasks = [entry for entry in entries if isinstance(entry, Task)]
    named = {task.id for task in tasks}
    current.tasks = [*tasks, *(task for task in early.values() if task.id not in named)]
    new = [task for task in tasks if task.id not in early]
    loop.early = {}
    for task in new:
        _register(loop, task)
    current.items = len(current.tasks)
    loop.breakers.clear()
    if len(tasks) < len(entries):
        _enter_steps(loop, [entry for entry in entries if isinstance(entry, Step)])
    for entry in new if len(tasks) == len(entries) else entries:
        if entry.waits == 0 and entry.id not in early:
            state.todo(Todo.TASK_READY if isinstance(entry, Task) else Todo.STEP_READY, entry)
    if current.open_tasks == 0:
        state.todo(Todo.ROUND_WORKED, loop)


def _enter_steps(loop: Loop, steps: list[Step]) -> None:
    loop.current.steps = steps
    for step in steps:
        loop.steps[step.id] = step
        loop.taken.add(step.id)
    loop.current.open_tasks += len(steps)


def enter_early(state: RunState, loop: Loop, task: Task) -> None:
    """Take a task in whose decision still streams."""
    loop.early[task.id] = task
    _register(loop, task)
    if task.waits == 0:
        state.todo(Todo.TASK_READY, task)


def _register(loop: Loop, task: Task) -> None:
    loop.tasks[task.id] = task
    loop.taken.add(task.id)
    loop.dispatches += 1
    counts = loop.worker_dispatches
    counts[task.worker.name] = counts.get(task.worker.name, 0) + 1
    loop.current.open_tasks += 1


def ready(state: RunState, task: Task) -> None:
    """All that a task waited for is over: resolve its input, ask its hooks, queue it."""
    loop = task.loop
    if loop.over or task.status != "blocked" or loop.holds_back(task):
        # A retry lets a task in at once where a task that it waited for ends while it is taken up;
        # the word that it is ready comes after that, and must not start it a second time.
        return
    # What an item needs, its step has waited for.
    failure = _unmet(loop, task) if task.step is None else None
    if failure is None and (task.tree is not None or task.when is not None):
        outcome = filling.prepare(state, task)
        if outcome == "skipped":
            _skip(state, task)
            return
        failure = outcome
    elif failure is None and task.special:
        failure = sizes.too_large(state, task) or _resolve(state, loop, task)
    if failure is not None:
        end_task(state, task, failure=failure)
        return
    if (state.kept and _keeps_output(state, task)) or (
        state.entered and _continues_plan(state, task)
    ):
        return
    grants.use(state, task)
    hooks = loop.hooks("before_dispatch", task.worker.name) if loop.orchestrator.hooks else []
    if hooks:
        move(task, "checking")
        offers = views.hook_offers(state, loop, task)
        verify.begin(state, HookRun(hooks, loop, f"{task.path} / before", offers, task))
    else:
        queue(state, task)


def _keeps_output(state: RunState, task: Task) -> bool:
    """Whether a retried task has the input that it had, and so what it gave."""
    kept = state.kept.pop(task.key, None)
    if kept is None or kept[0] != task.resolved:
        return False
    _, task.output, task.acting, tainted = kept
    move(task, "verifying", retried=True)
    end_task(state, task, verified=not tainted)
    return True


def _continues_plan(state: RunState, task: Task) -> bool:
    """Whether a retried plan is continued where it was, or may not begin again.

    With the input that it had it continues. With another one it begins from its front, but for a
    plan in which a `once` has begun: that one keeps to its old input, and to how it ended.
    """
    resolved, failure = state.entered.pop(task.key, (None, None))
    begun = resolved is not None and begun_once(task)
    if resolved is None or (resolved != task.resolved and not begun):
        return False
    changed = resolved != task.resolved
    task.resolved = resolved
    if changed and failure is not None:
        end_task(state, task, failure=failure)
    else:
        move(task, "running")
        state.todo(Todo.TASK_AGAIN, task)
    return True


def _unmet(loop: Loop, task: Task) -> Failure | None:
    # What has a tree is told by whoever fills it: a skipped producer does not fail it.
    for reference in task.references if task.tree is None else ():
        producer = loop.entry(reference.task)
        if producer is not None and producer.failure is not None:
            return filling.needs_failed(producer)
    return filling.too_early(task)


def _resolve(state: RunState, loop: Loop, task: Task) -> Failure | None:
    tasks = loop.tasks
    try:
        value = resolve(task.input, lambda task_id: tasks[task_id].output)
    except PointerError as error:
        said = sizes.cut(state, str(error))
        return Failure("unmet_reference", said, cause=Cause(task.worker))
    contract = task.worker.inputs
    task.resolved = contract.with_defaults(value)
    most = loop.orchestrator.policy.max_input_bytes
    if state.bounds and contract.multiplies and size_of(task.resolved, most) > most:
        said = f"with its defaults, its input takes more than {size_words(most)}"
        cause = Cause(loop.orchestrator, "policy.max_input_bytes")
        return Failure("unmet_reference", f"{said} (`max_input_bytes`)", cause=cause)
    if contract.is_valid(task.resolved):
        return None
    problems = sizes.cut(state, "; ".join(contract.problems(task.resolved)))
    return Failure(
        "unmet_reference",
        f"the referenced value does not match the input of `{task.worker.name}`: {problems}",
        cause=of_input(task.worker, problems),
    )


def queue(state: RunState, task: Task) -> None:
    """Nothing keeps a task from starting but a free slot (and a fork that must not repeat it)."""
    why = clearance.denial(state, task)
    if why:
        end_task(state, task, failure=Failure("denied", why, cause=Cause(task.worker)))
        return
    sourced.note_start(state, task)
    if isinstance(task.worker, Orchestrator):
        # A sub-orchestrator holds no slot: its own tasks do, in its own loop.
        _start_child(state, task, task.worker)
        return
    if task.worker.plan is not None:
        _start_plan(state, task)
        return
    task.status = "queued"
    task.loop.queue.append(task)
    _pump(state, task.loop)


def _pump(state: RunState, loop: Loop) -> None:
    """Start queued tasks while there are slots."""
    slots = loop.orchestrator.policy.max_parallel
    while loop.queue and loop.running < slots and not loop.over:
        task = loop.queue.popleft()
        if task.step is not None and loop.breakers:
            denied = breaker.opened(loop, task.worker.name)
            if denied is not None and not task.attempts:
                end_task(state, task, failure=denied)
                continue
        if state.held and _hold(state, task):
            continue
        if task.special and task.input_bytes is None:
            # It became ready before there were bounds.
            failure = sizes.too_large(state, task)
            if failure is not None:
                end_task(state, task, failure=failure)
                continue
        loop.running += 1
        _start(state, task)


def _hold(state: RunState, task: Task) -> bool:
    """Whether starting a task might repeat what a fork's parent has done: a person is asked."""
    if task.attempts:
        return False
    worker = task.worker
    assert isinstance(worker, Worker)
    held = forks.held(state, task, fallback_chain(state.program.workers, worker.name))
    if held is None:
        return False
    move(task, "checking")
    forks.ask(state, task, held)
    return True


def hold_back(state: RunState) -> None:
    """The run has become a fork: call off what was asked for and might repeat something."""
    for call in [*state.calls.values(), *state.starved]:
        task = call.subject
        if isinstance(task, Task) and not call.begun and _hold(state, task):
            attempts.withdraw(state, call)
            task.call = None
            task.loop.running -= 1
            _pump(state, task.loop)


def _ledger(loop: Loop, name: str) -> Ledger:
    """The ledger a task of a worker spends from: its own where `limit` gives it a budget."""
    limit = loop.orchestrator.limits.get(name)
    if limit is None or limit.budget == _NO_BUDGET:
        return loop.ledger
    ledger = loop.worker_ledgers.get(name)
    if ledger is None:
        ledger = Ledger(limit.budget, loop.ledger, name=f"limit {name}.budget")
        loop.worker_ledgers[name] = ledger
    return ledger


def _start(state: RunState, task: Task) -> None:
    worker = task.worker
    assert isinstance(worker, Worker)
    task.status = "running"
    if task.call is not None:
        attempts.again(state, task.call, task.feedback, untrusted=task.told)
        return
    pure = worker.effect == "pure" and worker.facts.done_by != "model"
    # What did not pass its check is made again, not looked up again.
    if pure and not task.feedback and _from_cache(state, task):
        return
    task.acting = worker
    _call(state, task, worker, task.path)


def _call(state: RunState, task: Task, worker: Worker, key: str) -> None:
    call = Call(key, task.loop, task)
    call.ledger = task.ledger = _ledger(task.loop, task.worker.name)
    task.call = call
    attempts.begin(state, call, worker.facts.model)


def _fall_back(state: RunState, task: Task) -> bool:
    """Hand a task whose worker has failed to the worker's next fallback, if there is one."""
    acting = task.acting
    assert isinstance(task.worker, Worker)
    assert isinstance(acting, Worker)
    if acting.effect == "once":
        return False
    chain = fallback_chain(state.program.workers, task.worker.name)
    position = chain.index(acting.name) + 1
    if position >= len(chain):
        return False
    task.acting = following = state.program.workers[chain[position]]
    _call(state, task, following, f"{task.path} / fallback {following.name}")
    return True


def _from_cache(state: RunState, task: Task) -> bool:
    """Whether the same `pure` work was done before in this run: then that is the output."""
    # What a `pure` worker's output depends on: the worker and its input, nothing else.
    key = task.pure_key = sizes.fingerprint([task.worker.name, task.resolved])
    if key not in state.pure:
        return False
    task.loop.running -= 1
    task.cached = True
    value, task.acting = state.pure[key]
    check_output(state, task, value)
    return True


def _start_child(state: RunState, task: Task, orchestrator: Orchestrator) -> None:
    move(task, "running")
    task.attempts += 1
    if task.started_at is None:
        task.started_at = state.now
    depth = 1 + sum(
        1 for loop in task.loop.lineage() if loop.orchestrator.name == orchestrator.name
    )
    if orchestrator.policy.max_depth is not None and depth > orchestrator.policy.max_depth:
        said = f"max_depth = {orchestrator.policy.max_depth} is reached"
        failure = Failure("exhausted", said, cause=Cause(orchestrator, "policy.max_depth"))
        end_task(state, task, failure=failure)
        return
    parent = _ledger(task.loop, orchestrator.name)
    ledger = Ledger(orchestrator.policy.budget, parent, name=f"{orchestrator.name}.budget")
    decisions = decision_contract(state, orchestrator)
    task.child = Loop(orchestrator, decisions, task.resolved, ledger, task)
    state.known.loops.append(task.child)
    if task.feedback:
        hidden = remarks.NOT_SHOWN if task.told_hidden else None
        remark = Remark(remarks.YOUR_RESULT_REJECTED, task.feedback, task.told, hidden)
        task.child.feedback.append(remark)
    state.todo(Todo.BEGIN_ROUND, task.child)


def _start_plan(state: RunState, task: Task) -> None:
    """A plan worker holds no slot either: the tasks of its steps do."""
    move(task, "running")
    task.attempts += 1
    if task.started_at is None:
        task.started_at = state.now
    state.todo(Todo.PLAN_STARTS, task)


def decision_contract(state: RunState, orchestrator: Orchestrator) -> DecisionContract:
    """The compiled schemas of an orchestrator, made once a state."""
    contract = state.decisions.get(orchestrator.name)
    if contract is None:
        contract = DecisionContract(state.program, orchestrator)
        state.decisions[orchestrator.name] = contract
    return contract


def call_ended(state: RunState, call: Call, task: Task) -> None:
    """A task's call has ended: free its slot, and look at what it gave."""
    loop = task.loop
    if call.unknown:
        loop.running -= 1
        _ask_outcome(state, task, call)
        _pump(state, loop)
        return
    if loop.over:
        _rest(state, task, call.value, call.failure)
        return
    if call.failure is not None and _fall_back(state, task):
        return
    loop.running -= 1
    if call.failure is not None:
        end_task(state, task, failure=call.failure)
    else:
        worker = task.acting
        if (
            isinstance(worker, Worker)
            and worker.effect == "pure"
            and worker.facts.done_by != "model"
        ):
            key = task.pure_key or sizes.fingerprint([task.worker.name, task.resolved])
            state.pure[key] = (call.value, worker)
            task.pure_key = None
        check_output(state, task, call.value)
    if loop.queue:
        _pump(state, loop)


def _ask_outcome(state: RunState, task: Task, call: Call) -> None:
    """A `once` task was started and may or may not have been done: only a person can tell."""
    move(task, "unknown")
    assert call.failure is not None
    once = f"`{task.worker.name}` may happen only once, and it is not known whether "
    why = f"({call.failure.mode}: {call.failure.message})"
    if task.step is not None:
        asking.outcome(state, task, f"{once}these items of `{task.step.id}` were done {why}")
        return
    message = f"{once}task `{task.id}` was done {why}"
    gates.ask(state, Gate(f"{task.key} / outcome", "outcome", task.loop, message, task=task))


def outcome_answered(state: RunState, gate: Gate, event: GateAnswered) -> None:
    """A person says the outcome of a `once` task, or of items of one step."""
    if gate.tasks:
        named, others = asking.chosen(gate, event)
        tasks = gate.tasks
        gate.tasks = [tasks[place] for place in others]
        if others:
            gates.ask(state, gate)
        for place in named:
            _outcome(state, gate, tasks[place], event)
        return
    assert gate.task is not None
    _outcome(state, gate, gate.task, event)


def _outcome(state: RunState, gate: Gate, task: Task, event: GateAnswered) -> None:
    contract = task.worker.output
    output = event.output
    if event.answer == "approve" and output is None and forks.offers(gate, [task]):
        output = gate.helds[task.key].output
    if event.answer == "approve":
        assert isinstance(task.worker, Worker)
        problem = sizes.unfit(state, output, contract, task.worker.max_bytes)
        if problem:
            state.warnings.append(f"the output given for {task.id} does not fit: {problem}")
            if gate.step is not None:
                gate.tasks.append(task)
            gates.ask(state, gate)
            return
    denied = Failure("denied", event.note or "a person ended it", cause=Cause(task.worker))
    if task.loop.over:
        # The run only waited for this; nothing new is started any more.
        done = event.answer == "approve"
        _rest(state, task, output if done else None, None if done else denied)
    elif event.answer == "approve":
        check_output(state, task, contract.with_defaults(output))
    elif event.answer == "not_done":
        if task.call is not None:
            task.call.unknown = False
        else:
            state.released.add(task.key)
        queue(state, task)
    else:
        end_task(state, task, failure=denied)


def _rest(state: RunState, task: Task, value: object, failure: Failure | None) -> None:
    """A `once` task has come to rest in a loop that is ending: note it, and let the loop end."""
    task.output, task.failure = value, failure
    task.rested = True
    move(task, "done" if failure is None else "failed")
    task.ended_at = state.now
    taint.mark_output(state, task, verified=False)
    ending.settle(state, task.loop)


def child_ended(state: RunState, child: Loop) -> None:
    """A sub-orchestrator has ended: what it found is its task's output."""
    task = child.task
    assert task is not None
    if task.loop.over:
        return
    if child.status == "finished":
        check_output(state, task, child.output)
        return
    task.partial = child.best
    end_task(state, task, failure=Failure(child.status, child.reason, cause=child.cause))


def check_output(state: RunState, task: Task, value: object) -> None:
    """A task has an output: ask its hooks, then it is over."""
    loop = task.loop
    task.output = value
    task.part_bytes = None
    task.ended_at = state.now
    hooks = loop.hooks("after_dispatch", task.worker.name) if loop.orchestrator.hooks else []
    if not hooks:
        end_task(state, task)
        return
    move(task, "verifying")
    offers = views.hook_offers(state, loop, task)
    key = f"{task.path} / attempt {task.attempts} / after"
    verify.begin(state, HookRun(hooks, loop, key, offers, task))


def hook_ended(state: RunState, run: HookRun) -> verify.Outcome:
    """The verifiers of a dispatch hook have spoken.

    Returns:
        What the loop must do about it beyond this task: `abort` and `escalate` are its
        business, everything else is settled here.
    """
    task = run.task
    assert task is not None
    loop = task.loop
    outcome = verify.outcome(run)
    if outcome.action in ("pass", "warn"):
        _let_pass(state, task, run.cleared)
    elif outcome.action == "revise":
        said = _hear(state, task, run)
        if task.status == "checking":
            if task.step is None:  # what a step brought tells of its items
                head = remarks.task_not_started(task.id)
                loop.feedback.append(Remark(head, outcome.feedback, task.told, said))
            denied = Failure("denied", outcome.feedback, cause=outcome.cause)
            end_task(state, task, failure=denied)
        else:
            _revise(state, task, outcome)
    elif outcome.action == "deny":
        _hear(state, task, run)
        denied = Failure("denied", outcome.feedback, cause=outcome.cause)
        end_task(state, task, failure=denied)
    elif outcome.action == "escalate" and approvals.escalated_before(state, run):
        verify.let_pass(state, run)
        return verify.Outcome("pass")
    return outcome


def _hear(state: RunState, task: Task, run: HookRun) -> str | None:
    """Note whose words a task is told; gives those that its planner may read, or None for all."""
    said = shown.told(state, run)
    task.told = task.told or taint.hears_strangers(state, run)
    task.told_hidden = task.told_hidden or shown.told_hidden(state, run)
    return said


def _let_pass(state: RunState, task: Task, cleared: Cleared) -> None:
    """The dispatch hooks let a task continue; they clean what they have looked at."""
    before = task.status == "checking"
    if not state.verdicts and cleared.verifiers:
        # What an older engine has started must not be denied when its run is taken over.
        cleared = clearing.of_all(cleared)
    if cleared.endorses:
        endorsed.add(state, task, cleared.endorses, output=not before)
    if before:
        task.looked_at = cleared
        queue(state, task)
    else:
        end_task(state, task, verified=cleared.output)


def _revise(state: RunState, task: Task, outcome: verify.Outcome) -> None:
    # A sub-orchestrator would plan again, and not know what the last one has changed.
    wrote = task.child is not None and any(
        isinstance(other.acting, Worker) and other.acting.changes_something and other.attempts
        for loop in ending.subtree(task.child)
        for other in loop.tasks.values()
    )
    worker = task.worker
    if wrote or (isinstance(worker, Worker) and worker.changes_something):
        end_task(state, task, failure=Failure("denied", outcome.feedback, cause=outcome.cause))
        return
    task.feedback = outcome.feedback
    queue(state, task)


def end_task(
    state: RunState, task: Task, failure: Failure | None = None, *, verified: bool = False
) -> None:
    """A task is over: free those that wait for it, and look whether its round is over too."""
    loop = task.loop
    # Its request is not needed any more, and a wide round keeps thousands of tasks.
    task.call = None
    task.ended_at = state.now
    if failure is not None:
        task.failure = failure
        task.output = None
        task.status = "failed"
    else:
        task.status = "done"
        loop.done.setdefault(task.worker.name, []).append(task)
    taint.mark_output(state, task, verified=verified)
    if task.step is not None:
        breaker.count(task)  # before its slot is given to the next one
    entry_ended(state, task)


def _skip(state: RunState, task: Task) -> None:
    """A task is not needed, or what it needs was not."""
    move(task, "skipped")
    task.ended_at = state.now
    entry_ended(state, task)


def entry_ended(state: RunState, entry: Task | Step) -> None:
    """A task or step is over: let in what waits for it, and look whether what it is in is over."""
    for other in entry.feeds:
        other.waits -= 1
        if other.waits == 0:
            state.todo(Todo.TASK_READY if isinstance(other, Task) else Todo.STEP_READY, other)
    if isinstance(entry, Task) and entry.step is not None:
        state.todo(Todo.ITEM_ENDED, entry)
        return
    if entry.frame is not None:
        entry.frame.open -= 1
        if entry.frame.open == 0:
            state.todo(Todo.INNER_ENDED, entry.frame)
        return
    loop = entry.loop
    current = loop.current
    current.open_tasks -= 1
    # While a decision is still asked for, more may come: its end looks again.
    if current.open_tasks == 0 and loop.phase == "working":
        state.todo(Todo.ROUND_WORKED, loop)
