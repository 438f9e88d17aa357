"""ORC415: decisions that are longer than the answers of the model that writes them.

The estimate is a floor, so that a finding is certain: each entry is the shortest that its worker's
contract admits, written without a space, and four bytes count as one token, where JSON takes about
three. What a model thinks before it answers, and its assessment, count as nothing.

    {"id":"","worker":"","input":{}},    33 bytes an entry
    + the shortest id that is still free, the worker's name, and each required input with the
      shortest value of its type, at most a reference: {"$from":""}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import block_of, body_of, setting_of, varies
from engine.linter.subject import Subject
from engine.schemes import built_in
from engine.sema.model import Model, Orchestrator, Program
from engine.sema.types.schema_facts import follow

__all__ = ["decision_over_answer", "least_bytes"]

#: What a token is taken to be, at most.
BYTES_A_TOKEN = 4
_FRAME = len('{"tasks":[]}')
_ENTRY = len('{"id":"","worker":"","input":{}},')
_REFERENCE = len('{"$from":"a"}')
#: Characters that an id may have.
_LETTERS = 26 + 26 + 10 + 3
#: Schemes whose answers no number of tokens bounds.
_UNBOUNDED = frozenset({"scripted", "recorded", "python", "memory"})

DECISION_OVER_ANSWER = Rule(
    code="ORC415",
    name="decision-over-answer",
    severity="warning",
    summary="A decision with `max_per_round` tasks is longer than an answer of its model can be.",
    why=(
        "The answer breaks off before the last task. The model is asked again, and the run fails "
        "when it breaks off twice."
    ),
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  max_per_round = 1000  budget { cost = $1 } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  max_per_round = 20  max_items = 1000  budget { cost = $1 } }
}""",
    allowable=True,
)


def decision_over_answer(subject: Subject) -> Iterator[Diagnostic]:
    """ORC415: a policy that allows decisions which no model of the orchestrator can write."""
    program = subject.program
    for loop in subject.orchestrators:
        written = block_of(body_of(subject, loop.name), "policy")
        model = _shortest(program, loop)
        if model is None or varies(written, "max_per_round", "max_dispatches"):
            continue
        tokens = least_bytes(program, loop) // BYTES_A_TOKEN
        if tokens <= model.max_tokens:
            continue
        value = None if written is None else setting_of(written, "max_per_round")
        most = loop.policy.max_per_round
        steps = "" if loop.policy.max_items is not None else ", or set `max_items`: one step of a "
        steps += "" if loop.policy.max_items is not None else "decision then becomes many tasks"
        yield diagnostic(
            "ORC415",
            f"a decision of {most:,} tasks takes at least {tokens:,} tokens; `{model.name}` "
            f"answers with at most {model.max_tokens:,}",
            loop.span if value is None else value.span,
            help=f"set `max_per_round` to {_fitting(program, loop, model)} or less, raise "
            f"`max_tokens` of `{model.name}`{steps}",
        )


def _shortest(program: Program, loop: Orchestrator) -> Model | None:
    """The model of a loop, or of its fallbacks, whose answers end first; None if none's do."""
    names = [loop.model]
    for name in names:
        model = program.models.get(name)
        names += [other for other in (model.fallback if model else ()) if other not in names]
    found = [program.models[name] for name in names if name in program.models]
    bounded = [model for model in found if built_in(model.id) not in _UNBOUNDED]
    return min(bounded, key=lambda model: model.max_tokens, default=None)


def _fitting(program: Program, loop: Orchestrator, model: Model) -> int:
    """How many of the shortest entries fit in an answer of a model, at least one."""
    low, high = 1, loop.policy.max_per_round
    while low < high:
        middle = (low + high + 1) // 2
        if least_bytes(program, loop, middle) // BYTES_A_TOKEN <= model.max_tokens:
            low = middle
        else:
            high = middle - 1
    return low


def least_bytes(program: Program, loop: Orchestrator, entries: int | None = None) -> int:
    """The least bytes of a decision with so many tasks; as many as the policy allows by default."""
    policy = loop.policy
    left = policy.max_per_round if entries is None else entries
    if policy.max_dispatches is not None:
        left = min(left, policy.max_dispatches)
    total = _FRAME + _ids(left)
    for size, most in sorted(_entries(program, loop)):
        taken = min(left, most)
        total += taken * size
        left -= taken
    return total


def _ids(count: int) -> int:
    """The bytes of so many different ids, the shortest there are."""
    length, total = 1, 0
    while count > 0:
        taken = min(count, _LETTERS**length)
        total += taken * length
        count -= taken
        length += 1
    return total


def _entries(program: Program, loop: Orchestrator) -> Iterator[tuple[int, int]]:
    """The bytes of the shortest entry of each worker, without its id; and how many there can be."""
    for name in loop.workers:
        worker = program.workers.get(name) or program.orchestrators.get(name)
        if worker is None:
            continue
        limit = loop.limits.get(name)
        most = loop.policy.max_per_round
        if limit is not None and limit.max_dispatches is not None:
            most = limit.max_dispatches
        schema = worker.inputs.schema
        inputs = _object(schema, schema, 0) - len("{}")
        yield _ENTRY + len(name.encode()) + inputs, most


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> int:
    required = schema.get("required", ())
    properties = schema.get("properties", {})
    fields = [
        len(name.encode()) + len('"":') + _value(properties.get(name, {}), root, depth + 1)
        for name in required
    ]
    return len("{}") + sum(fields) + max(0, len(fields) - 1)


def _value(schema: Any, root: Mapping[str, Any], depth: int) -> int:
    """The bytes of the shortest value of a schema, or of a reference in its place."""
    if not isinstance(schema, Mapping) or depth > 8:
        return 1
    if "$ref" in schema:
        return _value(follow(root, schema["$ref"]), root, depth + 1)
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if options:
        return min(_value(option, root, depth + 1) for option in options)
    match schema.get("type"):
        case "string":
            # The shortest of its words, or the quotes and as many characters as it must have.
            words = schema.get("enum", [schema["const"]] if "const" in schema else [])
            sizes = [len(str(word)) for word in words] or [schema.get("minLength", 0)]
            return min(len('""') + min(sizes), _REFERENCE)
        case "boolean":
            return len("true")
        case "array":
            return len("[]")
        case "object":
            return min(_object(schema, root, depth), _REFERENCE)
    return 1
