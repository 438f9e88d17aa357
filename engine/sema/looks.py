"""What the verifiers of a dispatch hook look at: which inputs of a task, or its output.

A verdict clears what its verifier looked at, and nothing else. A person is shown all of a task. A
`rules` verifier looks at what its assertions and `pass_when` mention. Any other looks at what it
has as an input. The machine (`engine.runtime.clearing`) and the linter ask here, so they agree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from engine.sema.model import Verifier
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["HOOK_NAMES", "Looks", "looks_at", "looks_at_output"]

#: The names of a hook itself; an input of a worker with such a name is read through `input` only.
HOOK_NAMES = frozenset(
    {"goal", "input", "log", "outputs", "plan", "rounds", "tainted", "task", "tasks"}
)
#: What `task` has besides where the values of the input are from.
_NOT_OF_THE_INPUT = frozenset({"id", "key", "round", "worker"})


class Looks(NamedTuple):
    """What was looked at.

    Attributes:
        whole: All of it.
        parts: These inputs of the task, or these fields of its output.
    """

    whole: bool
    parts: frozenset[str]


def looks_at(verifier: Verifier, inputs: Collection[str]) -> Looks:
    """What a verifier sees of a task before it starts.

    Args:
        inputs: The names of the inputs of the task's worker.
    """
    read = _read(verifier, "input")
    if read.whole:
        return Looks(True, frozenset(inputs))
    return Looks(False, read.parts & frozenset(inputs))


def looks_at_output(verifier: Verifier) -> Looks:
    """What a verifier sees of what a task gave."""
    read = _read(verifier, "output")
    return read if read.whole else Looks(False, read.parts)


def _read(verifier: Verifier, record: str) -> Looks:
    """What a verifier reads of a record that its hook offers under a name.

    The fields of `input` are offered under their own names too, as far as no name of the hook
    covers them. `task` has the sources of all of it.
    """
    if verifier.facts.done_by == "person":
        return Looks(True, frozenset())
    declared = frozenset(verifier.inputs.schema.get("properties", {}))
    alone = declared - HOOK_NAMES if record == "input" else frozenset()
    if verifier.kind != "rules":
        return Looks(not declared.isdisjoint({record, "task"}), alone)
    tests = [assertion.test.expr for assertion in verifier.assertions]
    if verifier.pass_when is not None:
        tests.append(verifier.pass_when.expr)
    places = [place for test in tests for place in _fields_of(test, record)]
    inside = {id(variable) for variable, _ in places}
    for test in tests:
        inside |= {id(task) for task, name in _fields_of(test, "task") if name in _NOT_OF_THE_INPUT}
    named = {
        node.name
        for test in tests
        for node in walk(test)
        if isinstance(node, ast.Variable) and id(node) not in inside
    } & declared
    fields = frozenset(name for _, name in places) if record in declared else frozenset()
    return Looks(not named.isdisjoint({record, "task"}), (alone & named) | fields)


def _fields_of(expr: ast.Expr, record: str) -> Iterator[tuple[ast.Variable, str]]:
    """Each `input.name` and `input["name"]` in an expression."""
    for node in walk(expr):
        if isinstance(node, ast.Attribute):
            name: str | None = node.name
        elif isinstance(node, ast.Index) and isinstance(node.index, ast.String):
            name = node.index.value
        else:
            continue
        if isinstance(node.object, ast.Variable) and node.object.name == record and name:
            yield node.object, name
