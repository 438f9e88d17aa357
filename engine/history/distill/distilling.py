"""`distill_run`: the plan of a run, or the reason why there is none.

The rounds of the root are taken, all of them or one. A run that has not finished has no plan that
is known to be good, so only a single round of it can be taken. A sub-orchestrator decides while it
runs, and a plan calls workers only.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

from engine.drive.loading import load
from engine.errors import OrchError, UsageError
from engine.history.changes import changes
from engine.history.current import current_program, file_of
from engine.history.distill.drafting import Draft, Drafter
from engine.history.distill.entries import Entry, entries_of
from engine.history.distill.ordering import needed, ordered, waiting
from engine.history.distill.rewriting import map_step, map_tree, step_sources, tree_leaves
from engine.history.distill.types import Types
from engine.history.distill.writing import ResultNotTyped, write
from engine.journal import Journal, RunRecord
from engine.runtime.state import Loop, RunState
from engine.sema.model import Orchestrator, Program
from engine.sema.plans.orch_form import is_name, value_text
from engine.sema.plans.steps import EachStep, ReduceStep, TaskStep
from engine.sema.plans.values import ABSENT, FromInput, FromStep, Leaf, read_value
from engine.sema.suggest import names_list
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse

__all__ = ["Distilled", "distill_run"]


_UNREAD = "the plan returns what nothing else reads"
_NOT_TYPED = f"the result may be null in the wrong place; {_UNREAD}"


class Distilled(msgspec.Struct, frozen=True):
    """A plan that was made from a run.

    Attributes:
        run: The run's id.
        name: Of the worker.
        text: The worker, formatted, with comments about what a planner judged.
        judged: The same comments about the whole plan, one each.
        tasks: How many tasks and steps were decided in the rounds that it is made of.
        steps: How many steps it has.
        changed: Names of workers in it that have changed in the file since the run, or are gone.
    """

    run: str
    name: str
    text: str
    judged: tuple[str, ...]
    tasks: int
    steps: int
    changed: tuple[str, ...] = ()


def distill_run(
    journal: Journal, run: str, *, number: int | None = None, name: str | None = None
) -> Distilled:
    """Make a `via plan` worker of what the planner of a run decided.

    Args:
        run: Its id.
        number: The round to take; all if None.
        name: What the worker is called.

    Raises:
        JournalError: The run cannot be read.
        CompileError: The program of the run has errors with this version.
        UsageError: No plan can be made of it.
    """
    record = journal.record(run)
    state = load(journal, record).state
    if state.root is None:
        raise UsageError(f"run {run} has decided nothing: it ended before it began")
    name = _name(state.program, state.loop.orchestrator, name)
    chosen = _chosen(state, number)
    types = Types(_aliases(record))
    title = _title(state, chosen)
    try:
        draft = _draft(state, chosen, types)
        text = write(record, state.loop.orchestrator, name, title, draft)
    except ResultNotTyped:
        draft = _draft(state, chosen, types, composed=False)
        text = write(record, state.loop.orchestrator, name, title, draft)
    called = {entry.worker.name for entry in draft.entries}
    return Distilled(
        run=run,
        name=name,
        text=text,
        judged=tuple(draft.notes),
        tasks=sum(entry.round in chosen for entry in entries_of(state.loop)),
        steps=len(draft.entries),
        changed=_changed(record, state.program, called),
    )


def _name(program: Program, orchestrator: Orchestrator, name: str | None) -> str:
    taken = {
        *program.workers, *program.orchestrators, *program.verifiers, *program.models,
        *program.schemas, *program.servers, *program.params,
    }  # fmt: skip
    if name is None:
        base = f"{orchestrator.name.rpartition('.')[2]}_plan"
        tries = (base, *(f"{base}_{number}" for number in range(2, len(taken) + 3)))
        return next(one for one in tries if one not in taken)
    if not is_name(name):
        raise UsageError(f"`{name}` cannot be the name of a worker")
    if name in taken:
        raise UsageError(f"the program has a `{name}` already; choose another name")
    return name


def _chosen(state: RunState, number: int | None) -> frozenset[int]:
    """The rounds that the plan is made of.

    Raises:
        UsageError: There are none, or they cannot be taken.
    """
    loop = state.loop
    accepted = [one.number for one in loop.rounds if one.decision is not None]
    if number is not None:
        if number > len(loop.rounds) or number < 1:
            has = f"it has {len(loop.rounds)}" if loop.rounds else "it has none"
            raise UsageError(f"run {state.run} has no round {number}; {has}")
        if number not in accepted:
            raise UsageError(f"no decision of round {number} was accepted")
        return frozenset({number})
    if state.status != "finished":
        raise UsageError(
            f"run {state.run} has not finished ({state.status}); --round N takes one round of it"
        )
    if not accepted:
        raise UsageError(f"run {state.run} has no accepted decision")
    return frozenset(accepted)


# ---------------------------------------------------------------- the draft


def _draft(
    state: RunState, chosen: frozenset[int], types: Types, *, composed: bool = True
) -> Draft:
    loop = state.loop
    drafter = Drafter(loop.orchestrator, loop.input, entries_of(loop), chosen, types)
    if not drafter.entries:
        rounds = "the rounds" if len(chosen) > 1 else f"round {min(chosen)}"
        raise UsageError(f"{rounds} of run {state.run} decided no tasks, so there is no plan")
    drafter.gather()
    left_out = _leave_out_failed(drafter)
    if not drafter.entries:
        raise UsageError(f"no task of run {state.run} succeeded, so there is no plan")
    drafter.bind()
    result, why = _result(state, drafter, chosen) if composed else (None, _NOT_TYPED)
    notes = [*_later_rounds(drafter), *_rejected(loop, chosen), *left_out]
    if result is not None:
        kept = needed(drafter.entries, result)
        unread = [entry for entry in drafter.entries if entry not in kept]
        if unread:
            notes.append(f"left out, because nothing reads them: {_shown(unread)}")
        drafter.entries = kept
        output: Any = drafter.types.text(loop.orchestrator.output.type)
    else:
        notes.append(why)
        result, output = _last_outputs(drafter)
    _refuse_orchestrators(state, drafter.entries)
    if not drafter.entries:
        raise UsageError(f"the result of run {state.run} needs no task, so there is no plan")
    return _named(drafter, result, output, notes)


def _named(drafter: Drafter, result: Any, output: Any, notes: list[str]) -> Draft:
    """The draft with the names of steps in place of the ids of decisions."""
    entries = waiting(ordered(drafter.entries))
    steps = drafter.name_steps(entries)

    def change(leaf: Leaf) -> Leaf:
        if isinstance(leaf, FromStep):
            return msgspec.structs.replace(leaf, name=steps.get(leaf.name, leaf.name))
        return leaf

    used: set[str] = set()
    for entry in entries:
        for leaf in step_sources(entry.step):
            if isinstance(leaf, FromInput):
                used.add(_input_of(leaf))
        step = map_step(entry.step, change)
        after = tuple(steps[id] for id in step.after if id in steps)
        entry.step = msgspec.structs.replace(step, id=steps[entry.id], after=after)
        entry.comments += _choices(entry)
    used |= {_input_of(leaf) for leaf in tree_leaves(result) if isinstance(leaf, FromInput)}
    result = map_tree(result, change)
    if isinstance(output, dict):
        result = {steps[key]: value for key, value in result.items()}
        output = {steps[key]: text for key, text in output.items()}
    inputs = drafter.inputs(used)
    written = [one.name for one in inputs if one.written]
    if written:
        plural = len(written) > 1
        notes.insert(
            0,
            f"{names_list(written)}: {'values' if plural else 'a value'} that the planner wrote; "
            f"the default{'s are those' if plural else ' is that'} of the run",
        )
    return Draft(inputs, entries, result, output, notes)


def _input_of(leaf: FromInput) -> str:
    return leaf.at.split("/")[1].replace("~1", "/").replace("~0", "~")


def _choices(entry: Entry) -> list[str]:
    """What is said of values that the planner picked out of lists."""
    picked: dict[str, None] = {}
    assert isinstance(entry.step, TaskStep | EachStep | ReduceStep)
    for leaf in tree_leaves(entry.step.input):
        head, _, rest = leaf.at.lstrip("/").partition("/")
        tokens = [head, *rest.split("/")] if isinstance(leaf, FromStep) else rest.split("/")
        if any(token.isdecimal() for token in tokens):
            picked[f"`{value_text(leaf)}`"] = None
    if not picked:
        return []
    shown = [*picked][:3] + (["others"] if len(picked) > 3 else [])
    return [f"the planner chose the place in the list: {', '.join(shown)}"]


# ---------------------------------------------------------------- what is left out


def _leave_out_failed(drafter: Drafter) -> list[str]:
    """Drop what failed in the run, unless a test looks at how it ended."""
    watched: set[str] = set()
    for entry in drafter.entries:
        step = entry.step
        for leaf in step_sources(step):
            if isinstance(leaf, FromStep) and (leaf.view == "failures" or _ended(step, leaf)):
                watched.add(leaf.name)
    failed = [
        entry
        for entry in drafter.entries
        if entry.status not in ("done", "skipped") and entry.id not in watched
    ]
    drafter.entries = [entry for entry in drafter.entries if entry not in failed]
    return [f"left out, because they failed in the run: {_shown(failed)}"] if failed else []


def _ended(step: Any, leaf: FromStep) -> bool:
    """Whether a step's test asks how another one ended."""
    selection = step.each if isinstance(step, EachStep) else getattr(step, "reduce", None)
    tests = [step.when, None if selection is None else selection.where]
    return any(
        condition.operator in ("ok", "failed") and condition.value == leaf
        for test in tests
        if test is not None
        for group in test.any_of
        for condition in group
    )


def _shown(entries: list[Entry]) -> str:
    names = [f"`{entry.id.strip()}` ({entry.worker.name})" for entry in entries]
    most = 8
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")


def _refuse_orchestrators(state: RunState, entries: list[Entry]) -> None:
    for entry in entries:
        if isinstance(entry.worker, Orchestrator):
            raise UsageError(
                f"task `{entry.id.strip()}` of round {entry.round} is orchestrator "
                f"`{entry.worker.name}`: a plan calls workers only"
            )


# ---------------------------------------------------------------- notes, and the result


def _title(state: RunState, chosen: frozenset[int]) -> str:
    last = max(chosen)
    rounds = f"round {last}" if len(chosen) == 1 else f"rounds 1 to {last}"
    return f"Distilled from run {state.run} of `{state.loop.orchestrator.name}`, {rounds}."


def _later_rounds(drafter: Drafter) -> list[str]:
    rounds = sorted({entry.round for entry in drafter.entries})
    if len(rounds) < 2:
        return []
    later = [str(number) for number in rounds[1:]]
    if len(later) == 1:
        which, its = f"round {later[0]} was", "its"
    else:
        which, its = f"rounds {later[0]} to {later[-1]} were", "their"
    return [
        f"{which} decided after the planner had read what came before; "
        f"in the plan, {its} steps always follow"
    ]


def _rejected(loop: Loop, chosen: frozenset[int]) -> list[str]:
    found = []
    for one in loop.rounds:
        if one.number in chosen and one.rejected:
            count = len(one.rejected)
            what = "1 decision was" if count == 1 else f"{count} decisions were"
            first = " ".join(one.rejected[0].split())
            shown = first if len(first) < 120 else f"{first[:117]}..."
            found.append(f"in round {one.number}, {what} rejected first: {shown}")
    return found


def _result(state: RunState, drafter: Drafter, chosen: frozenset[int]) -> tuple[Any, str]:
    """The result as references; None if it cannot be, with the reason."""
    loop = state.loop
    last = loop.rounds[max(chosen) - 1]
    if last.decision is None or "finish" not in last.decision:
        what = "the rounds decide" if len(chosen) > 1 else "the round decides"
        return None, f"{what} no result; {_UNREAD}"
    tree = last.decision["finish"]
    if loop.decisions.steps:
        tree = read_value(tree)
    bound = drafter.bind_result(tree, last.number)
    if bound is ABSENT:
        return None, f"the planner wrote the result, in its own words; {_UNREAD}"
    return bound, ""


def _last_outputs(drafter: Drafter) -> tuple[Any, Any]:
    """The outputs that no step reads: one as it is, several by the name of the step."""
    entries, types = drafter.entries, drafter.types
    read = {
        leaf.name
        for entry in entries
        for leaf in step_sources(entry.step)
        if isinstance(leaf, FromStep)
    }
    texts = {
        entry.id: types.list_text(entry.worker.output.type)
        if isinstance(entry.step, EachStep)
        else types.text(entry.worker.output.type)
        for entry in entries
        if entry.id not in read
    }
    if len(texts) == 1:
        return next((FromStep(id), text) for id, text in texts.items())
    return {id: FromStep(id) for id in texts}, texts


def _aliases(record: RunRecord) -> frozenset[str]:
    """The names that the file of a run gives to modules."""
    text = record.files.get(os.path.basename(record.workflow), "")
    document, _ = parse(SourceFile(record.workflow, text))
    imports = (one for one in document.declarations if isinstance(one, ast.Import))
    return frozenset(one.alias.text for one in imports)


# ---------------------------------------------------------------- a program that has changed


def _changed(record: RunRecord, program: Program, called: set[str]) -> tuple[str, ...]:
    """The workers in the plan that are not what they were in the run, as far as that is known."""
    if not record.trusted or not os.path.exists(file_of(record)):
        return ()
    try:
        found = changes(program, current_program(record))
    except OrchError:  # the file has errors now, or cannot be read: it cannot be compared
        return ()
    return tuple(one.name for one in found if one.kind == "worker" and one.name in called)
