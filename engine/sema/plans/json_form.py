"""The JSON form of steps: their JSON Schema, and the way from JSON to records and back.

`step_schema` is the closed schema of what a decision may contain; `read_step` takes only what fits
it. What a schema cannot say (which ids there are, whether types fit) is checked by whoever knows
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.sema.plans.conditions import OPERATORS, Condition, Test
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, ReduceStep, RepeatStep, Step, TaskStep
from engine.sema.plans.values import ABSENT, Computed, FromStep, read_value, write_value

__all__ = [
    "DEFINITIONS",
    "KEYS",
    "PROPERTIES",
    "REFERENCES",
    "read_selection",
    "read_step",
    "read_test",
    "write_step",
]

#: The keys of an entry besides `id`, `worker` and `input`, by the kind that they make it.
KEYS: Mapping[str, tuple[str, ...]] = {
    "task": ("when", "after"),
    "each": ("each", "label", "parallel", "in_order", "tolerate", "when", "after"),
    "reduce": ("reduce", "size", "empty", "when", "after"),
}

_POINTER = {"type": "string", "pattern": "^(/|$)"}
_ID = {"type": "string", "minLength": 1}
_TRUE = {"const": True}


def _closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


#: A step has one view at a time.
_ONE_VIEW = {"not": {"required": ["pairs", "failures"]}}
_REFERENCE = {
    **_closed({"$from": _ID, "at": _POINTER, "pairs": _TRUE, "failures": _TRUE}, "$from"),
    **_ONE_VIEW,
}
_ITEM = _closed({"$item": _POINTER}, "$item")
_INDEX = _closed({"$index": _TRUE}, "$index")
_PARTS = _closed({"$parts": _TRUE}, "$parts")
_LITERAL = _closed({"$literal": {}}, "$literal")
_SCALARS = ["null", "boolean", "number", "string"]
_COMPARED = [operator for operator in OPERATORS if operator not in ("empty", "ok", "failed")]

#: The definitions that a schema of decisions needs for steps, by name.
DEFINITIONS: Mapping[str, Any] = {
    "step.reference": _REFERENCE,
    "step.value": {
        "anyOf": [
            {"$ref": "#/$defs/step.reference"},
            _ITEM,
            _INDEX,
            _LITERAL,
            # Nothing in a list is a reference: a test compares whole values.
            {"type": [*_SCALARS, "array"], "items": {"type": _SCALARS}},
        ]
    },
    "step.condition": {
        "type": "object",
        "properties": {
            "value": {"anyOf": [{"$ref": "#/$defs/step.reference"}, _ITEM, _INDEX]},
            "is": {"enum": list(OPERATORS)},
            "than": {"$ref": "#/$defs/step.value"},
        },
        "required": ["value", "is"],
        "additionalProperties": False,
        "if": {"properties": {"is": {"enum": _COMPARED}}},
        "then": {"required": ["than"]},
        "else": {"properties": {"than": False}},
    },
    "step.test": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {"$ref": "#/$defs/step.condition"},
        },
    },
    "step.selection": {
        **_closed(
            {
                "$from": {"anyOf": [_ID, {"type": "array", "items": _ID, "minItems": 1}]},
                "at": _POINTER,
                "pairs": _TRUE,
                "failures": _TRUE,
                "entries": _TRUE,
                "flatten": {"anyOf": [_TRUE, _POINTER]},
                "where": {"$ref": "#/$defs/step.test"},
                "unique_by": _POINTER,
                "sort_by": _POINTER,
                "desc": {"type": "boolean"},
                "take": {"type": "integer", "minimum": 0},
            },
            "$from",
        ),
        "dependentRequired": {"desc": ["sort_by"]},
        **_ONE_VIEW,
    },
}

#: What may replace a value at any depth of an input or a result, where decisions have steps.
REFERENCES: Mapping[str, Any] = {
    "title": "reference",
    "anyOf": [_REFERENCE, _ITEM, _INDEX, _PARTS, _LITERAL],
}


#: The properties of an entry besides `id`, `worker` and `input`.
PROPERTIES: Mapping[str, Any] = {
    "when": {"$ref": "#/$defs/step.test"},
    "after": {"type": "array", "items": _ID},
    "each": {"$ref": "#/$defs/step.selection"},
    "label": {"anyOf": [{"type": "string"}, _ITEM, _INDEX]},
    "parallel": {"type": "integer", "minimum": 1},
    "in_order": {"type": "boolean"},
    "tolerate": {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        ]
    },
    "reduce": {"$ref": "#/$defs/step.selection"},
    "size": {"type": "integer", "minimum": 2},
    "empty": {},
}


# ---------------------------------------------------------------- from JSON


def read_step(entry: Mapping[str, Any]) -> Step:
    """One entry of a decision as a record; it fits the schema."""
    common: dict[str, Any] = {
        "id": entry["id"],
        "worker": entry["worker"],
        "input": {name: read_value(value) for name, value in entry["input"].items()},
        "when": read_test(entry["when"]) if "when" in entry else None,
        "after": tuple(entry.get("after", ())),
    }
    if "each" in entry:
        return EachStep(
            **common,
            each=read_selection(entry["each"]),
            label=read_value(entry["label"]) if "label" in entry else None,
            parallel=entry.get("parallel"),
            in_order=entry.get("in_order", False),
            tolerate=entry.get("tolerate"),
        )
    if "reduce" in entry:
        return ReduceStep(
            **common,
            reduce=read_selection(entry["reduce"]),
            size=int(entry["size"]),  # JSON Schema takes 2.0 for a whole number
            empty=read_value(entry["empty"]) if "empty" in entry else ABSENT,
        )
    return TaskStep(**common)


def read_selection(value: Mapping[str, Any]) -> Selection:
    """A selection as a record; it fits the schema."""
    given = value["$from"]
    # A list of one says the same as its only name, so the numbers of its values do too.
    several = isinstance(given, list) and len(given) > 1
    view = next((view for view in ("pairs", "failures") if value.get(view)), "outputs")
    at = value.get("at", "")
    names = given if isinstance(given, list) else [given]
    flatten = value.get("flatten")
    return Selection(
        tuple(FromStep(name, at, view) for name in names),  # type: ignore[arg-type]
        several=several,
        entries=bool(value.get("entries")),
        flatten="" if flatten is True else flatten,
        where=read_test(value["where"]) if "where" in value else None,
        unique_by=value.get("unique_by"),
        sort_by=value.get("sort_by"),
        desc=value.get("desc", False),
        take=None if value.get("take") is None else int(value["take"]),
    )


def read_test(value: Any) -> Test:
    """A test as a record; it fits the schema."""
    return Test(
        tuple(
            tuple(
                Condition(
                    read_value(condition["value"]),
                    condition["is"],
                    read_value(condition["than"]) if "than" in condition else ABSENT,
                )
                for condition in group
            )
            for group in value
        )
    )


# ---------------------------------------------------------------- to JSON


def write_step(step: Step) -> dict[str, Any]:
    """A step in the JSON form; what only an author can write has names that begin with `$`."""
    written: dict[str, Any] = {"id": step.id}
    if step.when is not None:
        written["when"] = _write_test(step.when)
    if step.after:
        written["after"] = list(step.after)
    match step:
        case RepeatStep():
            written["repeat"] = [write_step(inner) for inner in step.steps]
            written |= {"until": _write_test(step.until), "max": step.max, "gives": step.gives}
            if step.start is not None:
                written["start"] = write_value(step.start)
            if step.settle:
                written["settle"] = True
            return written
        case EachStep():
            written["each"] = _write_selection(step.each)
            options = {
                "label": write_value(step.label),
                "parallel": step.parallel,
                "in_order": step.in_order or None,
                "tolerate": step.tolerate,
            }
            written |= {name: value for name, value in options.items() if value is not None}
        case ReduceStep():
            written |= {"reduce": _write_selection(step.reduce), "size": step.size}
            if step.empty is not ABSENT:
                written["empty"] = write_value(step.empty)
        case TaskStep():
            pass
    return {**written, "worker": step.worker, "input": write_value(step.input)}


def _write_selection(selection: Selection) -> dict[str, Any]:
    sources = [write_value(source) for source in selection.sources]
    written: dict[str, Any]
    first = selection.sources[0]
    if all(isinstance(source, FromStep) for source in selection.sources) and all(
        (source.at, source.view) == (first.at, first.view)  # type: ignore[union-attr]
        for source in selection.sources
    ):
        names = [source["$from"] for source in sources]
        written = {**sources[0], "$from": names if selection.several else names[0]}
    else:
        written = {"$sources": sources} if selection.several else dict(sources[0])
    options: dict[str, Any] = {
        "entries": selection.entries or None,
        "flatten": True if selection.flatten == "" else selection.flatten,
        "where": None if selection.where is None else _write_test(selection.where),
        "unique_by": write_value(selection.unique_by),
        "sort_by": write_value(selection.sort_by),
        "desc": selection.desc or None,
        "take": write_value(selection.take),
    }
    return {**written, **{name: value for name, value in options.items() if value is not None}}


def _write_test(test: Test) -> Any:
    if isinstance(test.computed, Computed):
        return write_value(test.computed)
    return [
        [
            {
                "value": write_value(condition.value),
                "is": condition.operator,
                **({} if condition.than is ABSENT else {"than": _write_than(condition.than)}),
            }
            for condition in group
        ]
        for group in test.any_of
    ]


def _write_than(than: Any) -> Any:
    """What a value is compared with: an object, or a list of more than scalars, is a literal."""
    plain = isinstance(than, dict) or (
        isinstance(than, list) and any(isinstance(item, dict | list) for item in than)
    )
    return {"$literal": than} if plain else write_value(than)
