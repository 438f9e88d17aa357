"""A contract: the JSON Schema of a value, its invariants, and the check both sides go through.

What fits is decided by jsonschema-rs (compiled once, at the first check), and what does not is
explained in words that name the place (`engine.sema.types.explain`). The meaning is JSON Schema's
(Draft 2020-12, the formats of `engine.sema.expressions.formats` asserted), plus two things it
cannot say, as keywords of our own: `x-max-bytes`, and `x-asserts`, the invariants of records.
Patterns that look around (`engine.sema.types.patterns`) and expressions
(`engine.sema.expressions.metering`) have so many steps a value.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from engine.sema.expressions.compiler import Expression
from engine.sema.expressions.environment import EvaluationError
from engine.sema.expressions.formats import FORMATS, size_in_bytes
from engine.sema.expressions.metering import MAX_STEPS, metered
from engine.sema.expressions.template import Template
from engine.sema.types.definitions import (
    MISSING,
    Array,
    Constrained,
    External,
    Field,
    Invariant,
    Named,
    Optional,
    Record,
    Type,
    Union,
)
from engine.sema.types.json_schema import follow, schema_of, schema_of_fields
from engine.sema.types.whole_numbers import Change, whole_numbers
from engine.syntax import ast

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = ["VERDICT", "Contract"]


#: Steps of all expressions of one validation together.
_STEPS = 2 * MAX_STEPS
#: A larger schema is compiled for each contract that has it.
_MAX_KEPT = 20_000


def _compile(schema: Mapping[str, Any], asserts: Any) -> jsonschema_rs.Draft202012Validator:
    # 30 ms to import, and lint of a file without defaults never needs it.
    import jsonschema_rs

    from engine.sema.types.patterns import CountedPattern, looks_around, with_short_keys

    keywords: dict[str, Any] = {"x-max-bytes": _MaxBytes}
    if asserts is not None:
        keywords["x-asserts"] = asserts
    if looks_around(schema):
        keywords["pattern"] = CountedPattern
        schema = with_short_keys(schema)
    return jsonschema_rs.Draft202012Validator(
        dict(schema),
        formats=FORMATS,
        validate_formats=True,
        keywords=keywords,
        offline=True,
    )


@lru_cache(maxsize=512)
def _kept(schema: bytes) -> jsonschema_rs.Draft202012Validator:
    """The validator of a schema by its text: the same few are asked for again and again."""
    return _compile(msgspec.json.decode(schema), None)


class Contract:
    """What a value has to be.

    Args:
        type_: The type; its JSON Schema is made at once, its validator at the first check.

    Attributes:
        type: The `engine.sema.types.definitions` type (for static checks and taint).
        schema: A self-contained JSON Schema 2020-12 document (`$defs` inside).
    """

    def __init__(self, type_: Type, schema: Mapping[str, Any] | None = None) -> None:
        self.type = type_
        self.schema: dict[str, Any] = schema_of(type_) if schema is None else dict(schema)
        #: Its wire schemas by dialect, as far as they were asked for: the runtime's.
        self.wires: dict[str, dict[str, Any] | None] = {}

    @classmethod
    def of_fields(cls, fields: Iterable[Field], name: str, doc: str | None = None) -> Contract:
        """The contract of an input object: exactly these fields. `.type` is a `Record`."""
        fields = tuple(fields)
        return cls(Record(name, fields, doc=doc), schema_of_fields(fields, name, doc))

    @classmethod
    def of_schema(cls, schema: Mapping[str, Any]) -> Contract:
        """The contract of a self-contained JSON Schema; its defaults count as declared ones."""
        definitions = schema.get("$defs", {})
        bare = {key: value for key, value in schema.items() if key != "$defs"}
        return cls(External(str(schema.get("title", "value")), bare, definitions), schema)

    def __repr__(self) -> str:
        return f"Contract({self.type})"

    # ------------------------------------------------------------ checking

    def is_valid(self, value: Any) -> bool:
        """Whether the value fits. About 2 µs for 1 KB.

        What JSON cannot say never fits; a float that is not a number counts as null, which is
        what it is written as.
        """
        if self._counts:
            return self._decide(self._validator, value)
        try:  # as `_decide`, without a call more: every input and output comes through here
            return self._validator.is_valid(value)
        except (ValueError, RecursionError):
            return False

    def _decide(self, validator: jsonschema_rs.Draft202012Validator, value: Any) -> bool:
        try:
            if not self._counts:
                return validator.is_valid(value)
            # What evaluates expressions, or looks around in texts, has so many steps for the whole
            # value, however many items that has.
            from engine.sema.types.patterns import one_validation

            with metered(_STEPS), one_validation():
                return validator.is_valid(value)
        except (ValueError, RecursionError):
            return False

    @cached_property
    def _counts(self) -> bool:
        from engine.sema.types.patterns import looks_around

        return bool(self._invariants) or looks_around(self.schema)

    def problems(self, value: Any, limit: int = 5) -> list[str]:
        """Why a value does not fit, at most `limit` sentences; [] if it does.

        Each begins with the JSON Pointer of the place:
        `/findings/0/claim: "ab" is shorter than 10 characters (minLength)`.
        """
        if self.is_valid(value):
            return []
        # 10 ms to import, and only a failure needs it.
        from engine.sema.types.explain import explain_failure
        from engine.sema.types.patterns import one_validation

        with metered(_STEPS), one_validation():
            found = explain_failure(
                self.schema, value, self._compile, self.failed_invariants, limit
            )
        return found or [self._other_problem(value)]

    def _other_problem(self, value: Any) -> str:
        """What is said where no keyword can be named."""
        try:
            self._validator.is_valid(value)
        except (ValueError, RecursionError) as error:
            return f"(root): this is not a JSON value: {error}"
        return "(root): the value does not fit its schema"

    def parse_problem(self, text: str) -> str | None:
        """Why a text is not JSON, as one sentence with line and column; None if it is JSON."""
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            return f"line {error.lineno}, column {error.colno}: {error.msg}"
        except RecursionError:
            return "the JSON is nested too deeply"
        return None

    @cached_property
    def _validator(self) -> jsonschema_rs.Draft202012Validator:
        return self._compile(self.schema)

    def _compile(self, schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
        if self._invariants:
            return _compile(schema, self._assertion_keyword())
        text = msgspec.json.encode(schema)
        return _kept(text) if len(text) <= _MAX_KEPT else _compile(schema, None)

    # ------------------------------------------------------------ invariants

    @cached_property
    def _invariants(self) -> dict[str, _CompiledInvariant]:
        found: dict[str, _CompiledInvariant] = {}
        for record in _records(self.type):
            for invariant in record.invariants:
                found[invariant.key] = _CompiledInvariant(record, invariant)
        return found

    def failed_invariants(self, keys: Mapping[str, str], value: Any) -> list[str]:
        """The messages of the invariants with these keys that do not hold for an object."""
        if not isinstance(value, Mapping):
            return []
        messages = (self._invariants[key].problem(value) for key in keys if key in self._invariants)
        return [message for message in messages if message is not None]

    def _assertion_keyword(self) -> type:
        failed = self.failed_invariants

        class Asserts:
            def __init__(self, parent: Any, keys: dict[str, str], path: list[Any]) -> None:
                self.keys = keys

            def validate(self, instance: Any) -> None:
                for message in failed(self.keys, instance):
                    raise ValueError(message)

        return Asserts

    # ------------------------------------------------------------ defaults

    def with_defaults(self, value: Any) -> Any:
        """The value with declared defaults filled in where a property is missing, at any depth,
        and with whole numbers as `with_whole_numbers` has them.

        Returns the very same object when there is nothing to fill; never changes its argument.
        What is filled in in several places is one object. A schema from a file (`schema T from
        "t.json"`) declares no defaults: there `default` is a note to the reader.
        """
        if self.has_defaults:
            value = self._fill(self.schema, value, {})
        change = self._whole_numbers
        return value if change is None else change(value)

    def with_whole_numbers(self, value: Any) -> Any:
        """The value with an int for each `5.0` or `1e3` where the contract says `int`.

        Returns the very same object when there is none; never changes its argument.
        """
        change = self._whole_numbers
        return value if change is None else change(value)

    @cached_property
    def _whole_numbers(self) -> Change | None:
        return whole_numbers(self.schema, self._fits)

    @cached_property
    def multiplies(self) -> bool:
        """Whether a value may grow by more than the schema's own text when defaults are filled
        in: there are some in the items of a list, or in a value that may contain others of its
        kind."""
        return self.has_defaults and _mentions_many(self.schema)

    @cached_property
    def has_defaults(self) -> bool:
        """Whether it declares defaults, at any depth."""
        return _mentions_default(self.schema)

    @cached_property
    def _branches(self) -> dict[int, jsonschema_rs.Draft202012Validator]:
        return {}

    def _fits(self, branch: Mapping[str, Any], value: Any) -> bool:
        validator = self._branches.get(id(branch))
        if validator is None:
            document = {**branch, "$defs": self.schema.get("$defs", {})}
            validator = self._branches[id(branch)] = self._compile(document)
        return self._decide(validator, value)

    def _fill(self, schema: Any, value: Any, copies: dict[int, Any]) -> Any:
        if not isinstance(schema, Mapping) or schema.get("x-external"):
            return value
        if not isinstance(value, dict | list):
            return value
        if "$ref" in schema:
            return self._fill(follow(self.schema, schema["$ref"]), value, copies)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                for branch in schema[key]:
                    if self._fits(branch, value):
                        return self._fill(branch, value, copies)
                return value
        if isinstance(value, list):
            items = schema.get("items")
            filled = [self._fill(items, item, copies) for item in value]
            unchanged = all(new is old for new, old in zip(filled, value, strict=True))
            return value if unchanged else filled
        return self._fill_object(schema.get("properties", {}), value, copies)

    def _fill_object(
        self, properties: Mapping[str, Any], value: dict[str, Any], copies: dict[int, Any]
    ) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        for name, schema in properties.items():
            if name in value:
                filled = self._fill(schema, value[name], copies)
                if filled is not value[name]:
                    changes[name] = filled
            elif isinstance(schema, Mapping) and "default" in schema:
                if id(schema) not in copies:
                    default = copy.deepcopy(schema["default"])
                    copies[id(schema)] = self._fill(schema, default, copies)
                changes[name] = copies[id(schema)]
        return {**value, **changes} if changes else value


class _MaxBytes:
    """The keyword `x-max-bytes` for jsonschema-rs."""

    def __init__(self, parent: Any, limit: int, path: list[Any]) -> None:
        self.limit = limit

    def validate(self, instance: Any) -> None:
        """Raise if the value is larger."""
        if size_in_bytes(instance) > self.limit:
            raise ValueError(f"larger than {self.limit} bytes")


class _CompiledInvariant:
    """One `assert` of a record: evaluated over the record's fields by name."""

    def __init__(self, record: Record, invariant: Invariant) -> None:
        # A field that was left out is its default, or null.
        self.missing = {
            field.name: None if field.default is MISSING else field.default
            for field in record.fields
        }
        self.test = Expression(invariant.test)
        self.message: Template | Expression | None = None
        if isinstance(invariant.message, ast.String):
            self.message = Template(invariant.message.value)
        elif invariant.message is not None:
            self.message = Expression(invariant.message)
        self.text = invariant.text

    def problem(self, value: Mapping[str, Any]) -> str | None:
        """What is wrong with an object, or None."""
        scope = {**self.missing, **value}
        try:
            if self.test.evaluate(scope):
                return None
            if isinstance(self.message, Template):
                return self.message.render(scope)
            if self.message is not None:
                return str(self.message.evaluate(scope))
        except EvaluationError as error:
            return f"`{self.text}` cannot be checked: {error}"
        return f"`{self.text}` does not hold"


def _records(type_: Type) -> list[Record]:
    """Every record a type is made of."""
    found: list[Record] = []
    seen: set[int] = set()
    todo: list[Type] = [type_]
    while todo:
        current = todo.pop()
        if isinstance(current, Named):
            if id(current.definition) in seen:
                continue
            seen.add(id(current.definition))
            todo.append(current.definition.type)
        elif isinstance(current, Array | Optional | Constrained):
            todo.append(current.item)
        elif isinstance(current, Union):
            todo.extend(current.options)
        elif isinstance(current, Record):
            found.append(current)
            todo.extend(field.type for field in current.fields)
    return found


def _mentions_default(schema: Any) -> bool:
    """Whether any property of our own schemas declares a default."""
    if isinstance(schema, Mapping):
        if schema.get("x-external"):
            return False
        for inner in schema.get("properties", {}).values():
            if isinstance(inner, Mapping) and "default" in inner:
                return True
        return any(_mentions_default(inner) for key, inner in schema.items() if key != "default")
    return isinstance(schema, list) and any(_mentions_default(inner) for inner in schema)


def _mentions_many(schema: Any) -> bool:
    """Whether a schema has lists, or definitions, which may contain themselves."""
    if isinstance(schema, Mapping):
        if schema.get("x-external"):
            return False
        return "items" in schema or "$ref" in schema or any(map(_mentions_many, schema.values()))
    return isinstance(schema, list) and any(map(_mentions_many, schema))


#: What every verifier returns.
VERDICT = Contract.of_schema(
    {
        "type": "object",
        "properties": {
            "ok": {"type": "boolean", "description": "Whether the check passes."},
            "feedback": {
                "type": "string",
                "default": "",
                "description": "What is wrong and what to do about it.",
            },
            "score": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]},
        },
        "required": ["ok"],
        "additionalProperties": False,
    }
)
