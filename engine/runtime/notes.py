"""Notes: what a person tells a planner of a run that has not ended (`orch tell`).

A note waits in its loop until the next decision is asked for, and is then at the end of that
prompt. It is kept in its round, so compaction can say it again. It changes nothing else: not the
goal, not what counts as progress, not the taint of a decision, for a person said it.

`check` and `target` are for whoever sends a note; the machine itself ignores a note that nothing
waits for, as it ignores every event that comes too late.
"""

from __future__ import annotations

from engine.errors import UsageError
from engine.events import NoteGiven
from engine.runtime.ending import subtree
from engine.runtime.prompts.blocks import notes_block
from engine.runtime.state import Block, Loop, Note, RunState
from engine.sema.model import Orchestrator

__all__ = ["NotTaken", "check", "give", "show", "target"]


class NotTaken(UsageError):
    """A note that comes too late: no decision can be asked for after it."""


def give(state: RunState, event: NoteGiven) -> None:
    """Keep a note for the next decision of its loop; one that comes twice is kept once."""
    loop = _loop(state, event.task)
    if loop is None or loop.over or any(note.id == event.letter for note in _of(loop)):
        return
    loop.notes.append(Note(event.note, event.by, event.letter))


def show(loop: Loop) -> None:
    """Put the notes that wait at the end of the prompt; a decision is about to be asked for."""
    if not loop.notes:
        return
    given, loop.notes = loop.notes, []
    loop.current.notes.extend(given)
    said = notes_block(given)
    last = loop.blocks[-1]
    counted = (loop.settled_input or (0, 0, ""))[0]
    if last.role == "user" and counted < len(loop.blocks) and len(loop.blocks) > 1:
        # Two messages of one side in a row are an error for some providers.
        loop.blocks[-1] = Block("user", lambda: f"{last.text}\n\n{said}")
    else:
        loop.blocks.append(Block("user", said))


def target(state: RunState, to: str) -> str:
    """The key of the task whose orchestrator is meant; "" for the root's.

    Args:
        to: The task's key or id, as a person wrote it; "" for the root.

    Raises:
        UsageError: There is no such task, several have that id, or it has no planner.
    """
    if not to or state.root is None:
        return ""
    tasks = [task for loop in subtree(state.root) for task in loop.tasks.values()]
    found = [task for task in tasks if task.key == to] or [task for task in tasks if task.id == to]
    live = [task for task in found if task.child is not None and not task.child.over]
    if len(live) == 1:
        return live[0].key
    if not found:
        raise UsageError(_no_task(state, to))
    if live:
        keys = ", ".join(f"`{task.key}`" for task in live)
        raise UsageError(f"several tasks are called `{to}`; name one by its key: {keys}")
    own = [task for task in found if isinstance(task.worker, Orchestrator)]
    if not own:
        raise UsageError(
            f"`{to}` is not an orchestrator: it is a task of worker `{found[0].worker.name}`, "
            "which has no planner"
        )
    why = "has ended" if any(task.child is not None for task in own) else "has not started"
    raise UsageError(f"task `{to}` takes no note: its orchestrator {why}")


def _no_task(state: RunState, to: str) -> str:
    """What is said where no task has a name: a step is meant by one of its items."""
    loops = [] if state.root is None else list(subtree(state.root))
    steps = [step for loop in loops for step in loop.every_step() if to in (step.id, step.key)]
    for step in steps:
        if not isinstance(step.worker, Orchestrator):
            return f"`{to}` is not an orchestrator: it is a step, which has no planner"
        running = [t.id for t in step.items.values() if t.child is not None and not t.child.over]
        if running:
            return f"`{to}` is a step of orchestrators: name an item, such as `{running[0]}`"
        return f"`{to}` takes no note: it is a step, and none of its items runs"
    inside = [task for loop in loops for task in loop.every_task() if to in (task.id, task.key)]
    if inside:
        return f"`{to}` is not an orchestrator: it is a task inside a plan, which has no planner"
    return f"run {state.run} has no task `{to}`"


def check(state: RunState, task: str) -> None:
    """Refuse a note that no decision could be asked for after.

    Args:
        task: The key of the task whose orchestrator gets it; "" for the root's.

    Raises:
        NotTaken: The run or that orchestrator has ended, or it is in its last decision.
    """
    if state.ended or (state.root is not None and state.root.over):
        raise NotTaken(f"run {state.run} has ended ({state.status}) and takes no note")
    loop = _loop(state, task)
    if loop is None:
        raise NotTaken(f"run {state.run} has no orchestrator under task `{task}`")
    if any(one.over for one in loop.lineage()):
        raise NotTaken(f"the orchestrator under task `{task}` has ended and takes no note")
    if loop.round >= loop.orchestrator.policy.max_rounds:
        raise NotTaken(
            f"`{loop.orchestrator.name}` is in its last round, and no further decision can be "
            "asked for"
        )


def _of(loop: Loop) -> list[Note]:
    return [*(note for r in loop.rounds for note in r.notes), *loop.notes]


def _loop(state: RunState, key: str) -> Loop | None:
    """The loop of a task's key; the root for ""."""
    if state.root is None or not key:
        return state.root
    for loop in subtree(state.root):
        if loop.task is not None and loop.task.key == key:
            return loop
    return None
