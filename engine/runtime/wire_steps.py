"""Steps in the wire form: what an entry of `tasks` says of one, read and written.

With `policy { max_items }` an entry begins with a list of small parts, empty for a plain task:

    {"step": [{"each": "s"}, {"at": "/files"}, {"where": "/commits", "is": ">", "than": 3},
              {"sort_by": "/commits", "desc": true}, {"take": 20}],
     "worker": "review", "id": "all", "input": [{"item": "/path", "name": "path"}]}

Each kind of part begins with a key of its own, and none holds a list or an object: Azure admits
five levels, and a part is the fifth. So conditions are parts too. Those in a row must all hold;
`{"or": "where"}` begins an alternative. What no part can say is JSON text in the contract's form:
`{"json": "...", "of": "when"}`.

Invariant: every form of step that the contract admits can be written, and reads as the same step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from engine.runtime.prompts import step_rejections as said
from engine.sema.plans.json_form import PROPERTIES
from engine.sema.plans.values import read_value
from engine.sema.suggest import closest

__all__ = [
    "PARTS",
    "VALUES",
    "PartError",
    "closed",
    "holds_references",
    "read_parts",
    "read_value_of",
    "without_null_keys",
    "write_parts",
    "write_value_of",
]


class PartError(Exception):
    """A part of a step, or a value, is written in a way that neither form knows."""


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_of(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_YES = {"type": "boolean"}
_COMPARED = ("==", "!=", "<", "<=", ">", ">=", "in")
_SCALAR = {"anyOf": [_TEXT, {"type": "number"}, _YES]}
#: What a part of JSON text is about: a condition of a test, or the whole value of a key.
_JSON_OF = ("where", "when", "label", "empty")
_VIEWS = ("pairs", "failures", "entries")

#: The schemas of the parts of a step.
PARTS: tuple[dict[str, Any], ...] = tuple(
    closed(properties)
    for properties in (
        {"each": _TEXT},
        {"reduce": _TEXT},
        {"at": _TEXT},
        {"as": _one_of(*_VIEWS)},
        {"flatten": _TEXT},
        {"where": _TEXT, "is": _one_of(*_COMPARED), "than": _SCALAR},
        {"where_empty": _TEXT},
        {"or": _one_of("where", "when")},
        {"unique_by": _TEXT},
        {"sort_by": _TEXT, "desc": _YES},
        {"take": _WHOLE},
        {"label": _TEXT},
        {"parallel": _WHOLE},
        {"in_order": _YES},
        {"tolerate": {"type": "number"}},
        {"size": _WHOLE},
        {"when": _TEXT, "at": _TEXT, "is": _one_of(*_COMPARED), "than": _SCALAR},
        {"when_ended": _TEXT, "is": _one_of("ok", "failed")},
        {"when_empty": _TEXT, "at": _TEXT},
        {"after": _TEXT},
        {"json": _TEXT, "of": _one_of(*_JSON_OF)},
    )
)

#: The schemas of values of an input that only steps have; `name` is the input's.
VALUES: tuple[dict[str, Any], ...] = tuple(
    closed({**properties, "name": _TEXT})
    for properties in (
        {"item": _TEXT},
        {"index": _YES},
        {"parts": _YES},
        {"pairs": _TEXT, "at": _TEXT},
        {"failures": _TEXT, "at": _TEXT},
    )
)

#: Keys of a selection that are one-key parts under the same name.
_SHAPERS = ("at", "flatten", "unique_by", "sort_by", "desc", "take")
#: Keys of an entry that are one-key parts under the same name.
_OPTIONS = ("parallel", "in_order", "tolerate", "size")
_ALL_KEYS = ("each", "reduce", "as", *_SHAPERS, *_OPTIONS, "label", "after", "where", "when")


def holds_references(value: Any) -> bool:
    """Whether a value of the contract's form holds a reference or a `$literal` at any depth."""
    return bool(read_value(value) != value)


# ---------------------------------------------------------------- parts


def read_parts(parts: Any) -> dict[str, Any]:
    """What the parts of a step say, as keys of an entry in the contract's form.

    Raises:
        PartError: A part says nothing, or two of them contradict each other.
    """
    reader = _Reader()
    for part in [parts] if isinstance(parts, dict) else parts:
        if not isinstance(part, dict):
            raise PartError(said.PART_NOT_OBJECT)
        reader.take_in(part)
    return reader.entry()


class _Reader:
    """Puts the parts of one step together."""

    def __init__(self) -> None:
        self._sources: dict[str, list[str]] = {}
        self._selection: dict[str, Any] = {}
        self._tests: dict[str, list[list[Any]]] = {}
        self._keys: dict[str, Any] = {}

    def take_in(self, part: Mapping[str, Any]) -> None:
        if "json" in part:
            self._from_text(part)
        elif isinstance(part.get("or"), str):
            self._tests.setdefault(part["or"], [[]]).append([])
        elif (condition := _read_condition(part)) is not None:
            test, written = condition
            self._tests.setdefault(test, [[]])[-1].append(written)
        else:
            for key, value in part.items():
                if value is not None:
                    self._key(key, value)

    def _key(self, key: str, value: Any) -> None:
        if key in ("each", "reduce") and not isinstance(value, dict):
            self._sources.setdefault(key, []).extend(value if isinstance(value, list) else [value])
        elif key in ("each", "reduce"):
            self._put(self._keys, key, value)  # the contract's own form
        elif key == "as" and value in _VIEWS:
            self._put(self._selection, value, True)
        elif key == "where":
            self._put(self._selection, key, value)  # a whole test, in the contract's own form
        elif key in _SHAPERS:
            self._put(self._selection, key, value)
        elif key in _OPTIONS or key == "when":
            self._put(self._keys, key, value)
        elif key == "label":
            self._put(self._keys, key, {"$item": value} if isinstance(value, str) else value)
        elif key == "after":
            names = value if isinstance(value, list) else [value]
            self._keys["after"] = [*self._keys.get("after", ()), *names]
        else:
            raise PartError(said.part_unknown(key[:60], closest(key, _ALL_KEYS)))

    def _put(self, into: dict[str, Any], key: str, value: Any) -> None:
        if key in into and into[key] != value:
            raise PartError(said.part_twice(key))
        into[key] = value

    def _from_text(self, part: Mapping[str, Any]) -> None:
        key = part.get("of")
        if key not in _JSON_OF:
            raise PartError(said.part_of_nothing(_JSON_OF))
        value = part["json"]
        if isinstance(value, str):
            try:
                value = msgspec.json.decode(value)
            except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
                raise PartError(said.part_not_json(key, error)) from None
        if key in ("where", "when"):
            self._tests.setdefault(key, [[]])[-1].append(value)
        else:
            self._put(self._keys, key, value)

    def entry(self) -> dict[str, Any]:
        """The keys of the entry."""
        keys, selection = self._keys, self._selection
        for test, groups in self._tests.items():
            self._put(selection if test == "where" else keys, test, groups)
        if selection.get("desc") is False:
            del selection["desc"]
        for kind, names in self._sources.items():
            source = names[0] if len(names) == 1 else names
            keys[kind] = {"$from": source, **selection}
        if selection and not self._sources:
            # Its own message says that the source is missing.
            kind = "reduce" if "reduce" in keys else "each"
            keys[kind] = {**keys.get(kind, {}), **selection}
        return keys


def _read_condition(part: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The test that a part is a condition of, and the condition; None if it is none."""
    than = {"than": part["than"]} if "than" in part else {}
    if isinstance(part.get("where"), str):
        return "where", {"value": {"$item": part["where"]}, "is": part.get("is"), **than}
    if "where_empty" in part:
        return "where", {"value": {"$item": part["where_empty"]}, "is": "empty"}
    for key in ("when", "when_ended", "when_empty"):
        if isinstance(part.get(key), str):
            at = {"at": part["at"]} if part.get("at") else {}
            operator = "empty" if key == "when_empty" else part.get("is")
            than = than if operator in _COMPARED else {}
            return "when", {"value": {"$from": part[key], **at}, "is": operator, **than}
    return None


def write_parts(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts that say of an entry of the contract's form what kind of step it is."""
    parts: list[dict[str, Any]] = []
    kind = next((kind for kind in ("each", "reduce") if kind in entry), None)
    if kind is not None:
        parts += _write_selection(kind, entry[kind])
    parts += [{key: entry[key]} for key in _OPTIONS if key in entry]
    if "label" in entry:
        item = set(entry["label"]) == {"$item"} if isinstance(entry["label"], dict) else False
        parts.append({"label": entry["label"]["$item"]} if item else _text("label", entry))
    if "empty" in entry:
        parts.append(_text("empty", entry))
    if "when" in entry:
        parts += _write_test("when", entry["when"])
    parts += [{"after": name} for name in entry.get("after", ())]
    return parts


def _write_selection(kind: str, selection: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = selection["$from"]
    parts = [{kind: name} for name in (names if isinstance(names, list) else [names])]
    if selection.get("at"):
        parts.append({"at": selection["at"]})
    parts += [{"as": view} for view in _VIEWS if selection.get(view)]
    if "flatten" in selection:
        parts.append({"flatten": "" if selection["flatten"] is True else selection["flatten"]})
    if "where" in selection:
        parts += _write_test("where", selection["where"])
    if "unique_by" in selection:
        parts.append({"unique_by": selection["unique_by"]})
    if "sort_by" in selection:
        parts.append({"sort_by": selection["sort_by"], "desc": selection.get("desc", False)})
    if "take" in selection:
        parts.append({"take": selection["take"]})
    return parts


def _write_test(test: str, groups: Iterable[Iterable[Any]]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for group in groups:
        parts += [{"or": test}] if parts else []
        parts += [_write_condition(test, condition) for condition in group]
    return parts


def _write_condition(test: str, condition: Mapping[str, Any]) -> dict[str, Any]:
    value, operator = condition["value"], condition["is"]
    scalar = isinstance(condition.get("than"), str | int | float)
    if test == "where" and "$item" in value:
        if operator == "empty":
            return {"where_empty": value["$item"]}
        if operator in _COMPARED and scalar:
            return {"where": value["$item"], "is": operator, "than": condition["than"]}
    if test == "when" and "$from" in value and value.keys() <= {"$from", "at"}:
        name, at = value["$from"], value.get("at", "")
        if operator == "empty":
            return {"when_empty": name, "at": at}
        if operator in ("ok", "failed") and not at:
            return {"when_ended": name, "is": operator}
        if operator in _COMPARED and scalar:
            return {"when": name, "at": at, "is": operator, "than": condition["than"]}
    return {"json": _encoded(condition), "of": test}


def _text(key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"json": _encoded(entry[key]), "of": key}


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def without_null_keys(task: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without the keys of steps whose null says that they are absent."""
    return {
        key: value
        for key, value in task.items()
        if value is not None or key not in PROPERTIES or key == "empty"
    }


# ---------------------------------------------------------------- values of an input


def read_value_of(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """A value that only steps have in the contract's form; None if it is another one."""
    keys = entry.keys() - {"name"}
    if keys == {"item"}:
        return {"$item": entry["item"]}
    if keys == {"index"}:
        return {"$index": True}
    if keys == {"parts"}:
        return {"$parts": True}
    for view in ("pairs", "failures"):
        if keys == {view} or keys == {view, "at"}:
            at = {"at": entry["at"]} if entry.get("at") else {}
            return {"$from": entry[view], **at, view: True}
    return None


def write_value_of(name: str, value: Any) -> dict[str, Any] | None:
    """A value of the contract's form that is one reference; None if it is not."""
    if not isinstance(value, dict):
        return None
    keys = value.keys()
    if "$from" in keys and keys <= {"$from", "at", "pairs", "failures"}:
        view = next((view for view in ("pairs", "failures") if view in keys), "from")
        return {view: value["$from"], "at": value.get("at", ""), "name": name}
    if keys == {"$item"}:
        return {"item": value["$item"], "name": name}
    if keys == {"$index"}:
        return {"index": True, "name": name}
    if keys == {"$parts"}:
        return {"parts": True, "name": name}
    return None
