"""What the verifiers of a dispatch hook look at: which inputs of a task, or its output.

A verdict clears what its verifier looked at, and nothing else. A person is shown all of a task. A
`rules` verifier looks at what its assertions mention: of an output, at the parts that they mention.
Any other looks at what it has as an input. The machine (`engine.runtime.clearing`) and the linter
ask here, so they agree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from engine.sema.model import Verifier
from engine.sema.types.identity import ByIdentity
from engine.sema.types.words import carries_outside
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["HOOK_NAMES", "Looks", "has_seen_output", "looks_at", "looks_at_output"]

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
    read = _read_once(ByIdentity(verifier))
    if read.whole:
        return Looks(True, frozenset(inputs))
    return Looks(False, read.parts & frozenset(inputs))


def looks_at_output(verifier: Verifier) -> Looks:
    """What a verifier sees of what a task gave: all of it, or these fields as a whole."""
    paths = _paths_of_output(verifier)
    return Looks(() in paths, frozenset(path[0] for path in paths if len(path) == 1))


def has_seen_output(verifiers: Iterable[Verifier], schema: object) -> bool:
    """Whether verifiers see, between them, each part of an output that can hold words.

    Args:
        schema: The JSON Schema of the output.
    """
    paths = frozenset().union(*(_paths_of_output(verifier) for verifier in verifiers))
    return bool(paths) and not carries_outside(schema, paths)


def _paths_of_output(verifier: Verifier) -> frozenset[tuple[str, ...]]:
    """The parts of an output that a verifier sees, as names of fields from the outside in.

    The empty path is all of it. `task` has no part of the output.
    """
    if verifier.facts.done_by == "person":
        return frozenset({()})
    if "output" not in verifier.inputs.schema.get("properties", {}):
        return frozenset()
    if verifier.kind != "rules":
        return frozenset({()})
    return frozenset(
        path for assertion in verifier.assertions for path in _paths(assertion.test.expr, "output")
    )


def _paths(expr: ast.Expr, record: str) -> Iterator[tuple[str, ...]]:
    """Each use of a record in an expression: `record.a["b"]` is (a, b).

    An element of a list has the name `[]`, which no field has and which is never all of the list.
    """
    inside: set[int] = set()
    for node in walk(expr):
        if id(node) in inside or not isinstance(node, ast.Attribute | ast.Index | ast.Variable):
            continue
        path: list[str] = []
        base: ast.Expr = node
        while isinstance(base, ast.Attribute | ast.Index):
            if isinstance(base, ast.Attribute):
                path.append(base.name)
            else:
                path.append(base.index.value if isinstance(base.index, ast.String) else "[]")
            base = base.object
            inside.add(id(base))
        if isinstance(base, ast.Variable) and base.name == record:
            yield tuple(reversed(path))


# The machine asks it of each task that a hook has passed: a walk of all assertions.
@lru_cache(maxsize=1024)
def _read_once(verifier: ByIdentity) -> Looks:
    return _read_of_input(verifier.value)


def _read_of_input(verifier: Verifier) -> Looks:
    """What a verifier reads of the input of a task.

    The fields of `input` are offered under their own names too, as far as no name of the hook
    covers them. `task` has the sources of all of it.
    """
    if verifier.facts.done_by == "person":
        return Looks(True, frozenset())
    declared = frozenset(verifier.inputs.schema.get("properties", {}))
    alone = declared - HOOK_NAMES
    if verifier.kind != "rules":
        return Looks(not declared.isdisjoint({"input", "task"}), alone)
    tests = [assertion.test.expr for assertion in verifier.assertions]
    places = [place for test in tests for place in _fields_of(test, "input")]
    inside = {id(variable) for variable, _ in places}
    for test in tests:
        inside |= {id(task) for task, name in _fields_of(test, "task") if name in _NOT_OF_THE_INPUT}
    named = {
        node.name
        for test in tests
        for node in walk(test)
        if isinstance(node, ast.Variable) and id(node) not in inside
    } & declared
    fields = frozenset(name for _, name in places) if "input" in declared else frozenset()
    return Looks(not named.isdisjoint({"input", "task"}), (alone & named) | fields)


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
