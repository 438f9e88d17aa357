"""The rules of types and schemas.

Errors of the language are raised in several files of this folder, by their code; what they mean is
written once, here (see `engine.diagnostics.rule`).
"""

from __future__ import annotations

from engine.diagnostics.rule import Rule

UNKNOWN_TYPE = Rule(
    code="ORC201",
    name="unknown-type",
    severity="error",
    summary="A type is named that is neither built in nor declared.",
    why="A type is built in or declared with `schema`.",
    bad="schema A { x: strng }",
    good="schema A { x: string }",
    allowable=False,
)

TYPE_MISMATCH = Rule(
    code="ORC202",
    name="type-mismatch",
    severity="error",
    summary=("A value is of the wrong type, out of range, or in the wrong form for its setting."),
    why="A value of the wrong type would fail at run time, or mean something else.",
    bad='model m { id = "x"  max_tokens = "2k" }',
    good='model m { id = "x"  max_tokens = 2k }',
    allowable=False,
)

BAD_DEFAULT = Rule(
    code="ORC204",
    name="bad-default",
    severity="error",
    summary="A default does not fit the type it is the default of.",
    why="A default goes through the same contract as a given value.",
    bad='schema A { x: int = "3" }',
    good="schema A { x: int = 3 }",
    allowable=False,
)

IMPOSSIBLE_CONSTRAINT = Rule(
    code="ORC205",
    name="impossible-constraint",
    severity="error",
    summary="Constraints that no value can satisfy, or that contradict each other.",
    why="A contract that nothing can satisfy fails every call.",
    bad="schema A { x: int @min(5) @max(3) }",
    good="schema A { x: int @min(3) @max(5) }",
    allowable=False,
)

RECURSIVE_SCHEMA = Rule(
    code="ORC206",
    name="recursive-schema",
    severity="error",
    summary="A schema contains itself on every path, so no finite value fits it.",
    why="A value would have to contain itself without an end.",
    bad="schema Tree { left: Tree }",
    good="schema Tree { left: Tree? }",
    allowable=False,
)

EXTERNAL_SCHEMA_INVALID = Rule(
    code="ORC207",
    name="external-schema-invalid",
    severity="error",
    summary="A JSON Schema file is not JSON, or not a JSON Schema.",
    why="The file is used as it is, so it has to be a JSON Schema (2020-12).",
    allowable=False,
)

SCHEMA_REF_UNRESOLVED = Rule(
    code="ORC208",
    name="schema-ref-unresolved",
    severity="error",
    summary="A JSON Pointer or `$ref` leads to nothing.",
    why="The schema would accept anything, or nothing, at this place.",
    allowable=False,
)
