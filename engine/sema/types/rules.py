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
    summary="A type is neither built in nor declared.",
    why="Declare your own types with `schema`.",
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
    summary="A default does not fit its type.",
    why="A default is validated like any other value.",
    bad='schema A { x: int = "3" }',
    good="schema A { x: int = 3 }",
    allowable=False,
)

IMPOSSIBLE_CONSTRAINT = Rule(
    code="ORC205",
    name="impossible-constraint",
    severity="error",
    summary="Constraints that no value can satisfy, or that contradict each other.",
    why="A contract that no value satisfies makes every call fail.",
    bad="schema A { x: int @min(5) @max(3) }",
    good="schema A { x: int @min(3) @max(5) }",
    allowable=False,
)

RECURSIVE_SCHEMA = Rule(
    code="ORC206",
    name="recursive-schema",
    severity="error",
    summary="A schema contains itself on every path, so no finite value fits it.",
    why="A value would have to be infinitely deep.",
    bad="schema Tree { left: Tree }",
    good="schema Tree { left: Tree? }",
    allowable=False,
)

EXTERNAL_SCHEMA_INVALID = Rule(
    code="ORC207",
    name="external-schema-invalid",
    severity="error",
    summary="A JSON Schema file is not valid JSON, or not a valid JSON Schema.",
    why=(
        "The file is read by the rules of its own dialect, so it has to be valid there: a JSON "
        "Schema of draft-04, 06, 07, 2019-09 or 2020-12, or an OpenAPI 3.0 document."
    ),
    allowable=False,
)

SCHEMA_REF_UNRESOLVED = Rule(
    code="ORC208",
    name="schema-ref-unresolved",
    severity="error",
    summary="A JSON Pointer or `$ref` refers to something that does not exist.",
    why="The schema would accept anything, or nothing, at this place.",
    allowable=False,
)

KEYWORD_WITHOUT_MEANING = Rule(
    code="ORC212",
    name="keyword-without-meaning",
    severity="warning",
    summary="A JSON Schema has a keyword that has no effect in its dialect.",
    why=(
        "`const` says nothing in a draft-04 file, `nullable` nothing outside OpenAPI 3.0, and up "
        "to draft-07 the keywords next to a `$ref` are ignored. The author meant to check "
        "something that is not checked."
    ),
    allowable=True,
)
