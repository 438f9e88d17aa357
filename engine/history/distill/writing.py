"""The text of a plan, checked with the program of its run.

A value that may be null needs a test in a plan, where a decision needed none: the checker says
where, and the step gets a `when` or a `where`. What bounds the tasks is what the checker counts.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.diagnostics import Diagnostic
from engine.errors import UsageError
from engine.formatter.formatting import format_text
from engine.history.distill.drafting import Draft
from engine.history.distill.entries import Entry
from engine.history.distill.rewriting import map_step, map_tree
from engine.journal import RunRecord
from engine.printable import printable
from engine.sema.check import CheckResult, check_file
from engine.sema.declarations.plans.names import escaped
from engine.sema.model import Orchestrator
from engine.sema.names.loader import MemoryReader
from engine.sema.plans.conditions import Condition, Test
from engine.sema.plans.orch_form import OrNull, step_text, value_text
from engine.sema.plans.steps import EachStep, ReduceStep, Step
from engine.sema.plans.values import FromInput, FromItem, FromStep, Leaf
from engine.sema.types.schema_facts import pointer_tokens

__all__ = ["ResultNotTyped", "write"]

_WIDTH = 96
_MOST_ITEMS = 100_000
_UNBOUNDED = "ORC421"
_MAY_BE_NULL = "ORC220"


class ResultNotTyped(Exception):
    """The result as references has not the type of the orchestrator's output."""


@dataclass(eq=False)
class _Text:
    """A text of the plan, with the places of its steps and of its result."""

    text: str
    steps: list[tuple[int, int]]
    result: tuple[int, int]


class Writer:
    """Writes one plan.

    Args:
        name: Of the worker.
        title: The first line of its comment.
    """

    def __init__(
        self, record: RunRecord, orchestrator: Orchestrator, name: str, title: str, draft: Draft
    ) -> None:
        self._record = record
        self._orchestrator = orchestrator
        self._name = name
        self._title = title
        self._draft = draft
        self._max_items = _MOST_ITEMS
        self._unbounded: set[str] = set()
        self._over = False

    def write(self) -> str:
        """The worker, formatted.

        Raises:
            UsageError: The checks find something that cannot be helped.
            ResultNotTyped: They find it in the result.
        """
        for _ in range(4 * len(self._draft.entries) + 8):
            text = self._text()
            program, found = self._checked(text)
            errors = [one for one in found if one.severity == "error"]
            if not errors:
                break
            for one in errors:
                self._repair(text, one)
        else:
            raise UsageError("no plan of this run passes the checks of the linter")
        self._bound(program)
        _, found = self._checked(self._text())
        self._over = any(one.code == _UNBOUNDED for one in found)
        return format_text("orch 1\n\n" + self._text().text).removeprefix("orch 1\n\n")

    # ------------------------------------------------------------ text

    def _text(self) -> _Text:
        draft = self._draft
        lines = [_comment(self._title)]
        if draft.notes:
            lines[0] += "\n//"
            lines += [_comment(note, "- ") for note in draft.notes]
        if self._orchestrator.doc:
            lines += [f"/// {line}".rstrip() for line in self._orchestrator.doc.splitlines()]
        inputs = ", ".join(one.text for one in draft.inputs)
        output = draft.output
        if isinstance(output, dict):
            output = "{ " + ", ".join(f"{key}: {text}" for key, text in output.items()) + " }"
        ending = f") -> {output}{self._fails()} via plan {{"
        head = f"worker {self._name}({inputs}{ending}"
        if len(head) > _WIDTH and draft.inputs:
            listed = "".join(f"  {one.text},\n" for one in draft.inputs)
            head = f"worker {self._name}(\n{listed}{ending}"
        lines.append(head)
        if self._over:
            lines.append(f"// orch: allow[{_UNBOUNDED}] as many as a plan may become")
        lines.append(f"max_items = {self._max_items}")
        text = "\n".join(lines) + "\n"
        places = []
        for entry in draft.entries:
            for comment in entry.comments:
                text += _comment(comment) + "\n"
            if entry.step.id in self._unbounded:
                text += f"// orch: allow[{_UNBOUNDED}] the planner's decision had no other bound\n"
            start = len(text)
            text += step_text(entry.step) + "\n"
            places.append((start, len(text)))
        start = len(text)
        text += f"result = {value_text(draft.result)}\n"
        return _Text(text + "}\n", places, (start, len(text)))

    def _fails(self) -> str:
        """The modes that its workers declare, for a step fails with the mode of its worker."""
        modes = dict.fromkeys(mode for one in self._draft.entries for mode in one.worker.fails)
        return f" fails {', '.join(modes)}" if modes else ""

    # ------------------------------------------------------------ checks

    def _checked(self, text: _Text) -> tuple[CheckResult, list[Diagnostic]]:
        """The check of the run's program with the plan in it, and what it finds in the plan."""
        record = self._record
        path = os.path.normpath(os.path.join(record.cwd, record.workflow))
        entry = os.path.basename(path)
        before = record.files[entry].rstrip() + "\n\n"
        files = {**record.files, entry: before + text.text}
        reader = MemoryReader(files, os.path.dirname(path), with_python=False)
        result = check_file(path, params=record.params, reader=reader, env={})
        found = [
            one
            for one in result.diagnostics
            if one.span.start >= len(before) and one.span.source.text == files[entry]
        ]
        return result, [_moved(one, -len(before)) for one in found]

    def _repair(self, text: _Text, found: Diagnostic) -> None:
        at = found.span.start
        begin, end = text.result
        if begin <= at < end:
            self._repair_result(text, found)
            return
        for entry, (begin, end) in zip(self._draft.entries, text.steps, strict=True):
            if begin <= at < end and found.code == _MAY_BE_NULL:
                written = text.text[found.span.start : found.span.end]
                if self._guard(entry, " ".join(written.split()), found.message):
                    return
        raise UsageError(f"no plan of this run passes the checks: {found.code} {found.message}")

    def _guard(self, entry: Entry, written: str, message: str) -> bool:
        """Skip a step, or a value of its list, where what it reads is null."""
        named = message.split("`")[1] if message.startswith("`") else written
        for path in (named, written):
            leaf = _leaf_of(entry.step, path)
            if leaf is None:
                continue
            guarded = _guarded(entry.step, leaf)
            if guarded is not None:
                entry.step = guarded
                return True
        return False

    def _repair_result(self, text: _Text, found: Diagnostic) -> None:
        draft = self._draft
        if found.code == _MAY_BE_NULL:
            written = text.text[found.span.start : found.span.end].strip()
            if isinstance(draft.output, dict):
                for key, value in draft.result.items():
                    if value_text(value) == written and not draft.output[key].endswith("?"):
                        draft.output[key] = _optional(draft.output[key])
                        return
            elif value_text(draft.result) == written and not draft.output.endswith("?"):
                draft.output = _optional(draft.output)
                return
            path = found.message.split("`")[1] if found.message.startswith("`") else written
            result = map_tree(draft.result, lambda leaf: _or_null(leaf, path))
            if result != draft.result:
                draft.result = result
                return
        raise ResultNotTyped(found.message)

    def _bound(self, result: CheckResult) -> None:
        """Set `max_items` to what the steps become, as far as that is known."""
        plan = result.partial.workers[self._name].plan
        assert plan is not None
        known = sum(most for most in plan.most.values() if most is not None)
        self._unbounded = {name for name, most in plan.most.items() if most is None}
        self._max_items = known
        if self._unbounded:
            policy = self._orchestrator.policy
            seen = sum(max(1, len(entry.items)) for entry in self._draft.entries)
            # Above that of the policy it would have no effect.
            allowed = policy.max_items or max(policy.max_per_round, 2 * seen)
            self._max_items = max(known + 1, allowed)
        self._max_items = max(1, min(self._max_items, _MOST_ITEMS))


def write(
    record: RunRecord, orchestrator: Orchestrator, name: str, title: str, draft: Draft
) -> str:
    """The text of a plan; it passes the checks of the linter.

    Raises:
        UsageError: No text does.
        ResultNotTyped: The result is not of the output's type.
    """
    return Writer(record, orchestrator, name, title, draft).write()


# ---------------------------------------------------------------- helpers


def _comment(text: str, mark: str = "") -> str:
    # Some of the words are a planner's: none may become a comment that allows a finding.
    words = printable(" ".join(text.split())).replace("orch:", "orch")
    lines = textwrap.wrap(
        mark + words,
        _WIDTH,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(f"// {line}" for line in lines)


def _moved(found: Diagnostic, by: int) -> Diagnostic:
    span = found.span
    moved = type(span)(span.source, span.start + by, span.end + by)
    return msgspec.structs.replace(found, span=moved)


def _optional(type_: str) -> str:
    return f"({type_})?" if " | " in type_ or " @" in type_ else f"{type_}?"


def _leaf_of(step: Step, path: str) -> FromStep | FromInput | FromItem | None:
    """The reference of a step that a path of it is, or begins."""
    found: list[FromStep | FromInput | FromItem] = []

    def note(leaf: Leaf) -> Leaf:
        found.extend(short for short in _beginnings(leaf) if value_text(short) == path)
        return leaf

    map_step(step, note)
    selection = step.each if isinstance(step, EachStep) else getattr(step, "reduce", None)
    if selection is not None and selection.flatten is not None:
        map_tree(FromItem(selection.flatten), note)
    return found[0] if found else None


def _or_null(leaf: Leaf, path: str) -> Any:
    """A reference that is null where the path that it begins with is."""
    for short in _beginnings(leaf):
        if short != leaf and value_text(short) == path:
            return OrNull(leaf, short)
    return leaf


def _beginnings(leaf: Leaf) -> Iterator[FromStep | FromInput | FromItem]:
    """A reference and those to what it is a part of, the whole first."""
    if isinstance(leaf, FromStep | FromInput | FromItem):
        tokens = pointer_tokens(leaf.at) or []
        for length in range(isinstance(leaf, FromInput), len(tokens) + 1):
            at = "".join(f"/{escaped(token)}" for token in tokens[:length])
            yield msgspec.structs.replace(leaf, at=at)


def _guarded(step: Step, leaf: FromStep | FromInput | FromItem) -> Step | None:
    """The step under the condition that a value is not null; None if it has that already."""
    condition = Condition(leaf, "!=", None)
    if isinstance(leaf, FromItem):
        if not isinstance(step, EachStep | ReduceStep):
            return None
        selection = step.each if isinstance(step, EachStep) else step.reduce
        where = _and(selection.where, condition)
        if where is None:
            return None
        chosen = msgspec.structs.replace(selection, where=where)
        key = "each" if isinstance(step, EachStep) else "reduce"
        return msgspec.structs.replace(step, **{key: chosen})
    when = _and(step.when, condition)
    return None if when is None else msgspec.structs.replace(step, when=when)


def _and(test: Test | None, condition: Condition) -> Test | None:
    groups: tuple[tuple[Condition, ...], ...] = ((),) if test is None else test.any_of
    if any(condition in group for group in groups):
        return None
    return Test(tuple((condition, *group) for group in groups))
