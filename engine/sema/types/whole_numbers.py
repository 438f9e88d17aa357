"""Whole numbers as a contract means them: `5.0` where a schema says `integer` becomes `5`.

JSON Schema takes 5.0 and 1e3 for integers, as JSON has one kind of number; Python, a URL and the
argument of a command do not. A schema is turned once into a function that visits only the places
where it says `integer`; a schema without any gives none. Nothing is validated here, and a value is
copied only along the way to a number that changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import is_
from typing import Any

from engine.sema.types.json_schema import follow

__all__ = ["Change", "whole_numbers"]

#: Gives the very same object where nothing is to be changed; never changes its argument.
Change = Callable[[Any], Any]
#: Whether a value fits a part of the schema.
Fits = Callable[[Mapping[str, Any], Any], bool]

_BRANCHES = ("anyOf", "oneOf")
_LEAVES = frozenset({str, int, bool, type(None)})
#: What a branch of a union may be where another one is for everything else.
_PLAIN = frozenset({"null", "string", "boolean"})


def whole_numbers(schema: Mapping[str, Any], fits: Fits) -> Change | None:
    """What makes the whole numbers of a schema's values ints; None where it has no integers.

    Args:
        schema: A self-contained schema.
        fits: Asked which branch of a union a value belongs to.
    """
    return _Maker(schema, fits).change(schema)


class _Maker:
    """Makes the function of each place of one schema."""

    def __init__(self, root: Mapping[str, Any], fits: Fits) -> None:
        self._root = root
        self._fits = fits
        self._definitions: dict[str, list[Change]] = {}

    def change(self, schema: Any) -> Change | None:
        """The function of a place; None where there are no integers."""
        if not isinstance(schema, Mapping) or not self._reaches(schema, set()):
            return None
        found = [
            _own(schema),
            self._reference(schema),
            self._object(schema),
            self._list(schema),
            *(self._union(schema[key]) for key in _BRANCHES if key in schema),
            *(self.change(branch) for branch in schema.get("allOf", ())),
            self._condition(schema),
        ]
        changes = [change for change in found if change is not None]
        if len(changes) < 2:
            return changes[0] if changes else None

        def one_after_the_other(value: Any) -> Any:
            for change in changes:
                value = change(value)
            return value

        return one_after_the_other

    def _reaches(self, schema: Any, seen: set[int]) -> bool:
        """Whether there is an integer in a schema, or behind its references."""
        if isinstance(schema, list | tuple):
            return any(self._reaches(inner, seen) for inner in schema)
        if not isinstance(schema, Mapping) or id(schema) in seen:
            return False
        seen.add(id(schema))
        if _own(schema) is not None:
            return True
        reference = schema.get("$ref")
        if isinstance(reference, str) and self._reaches(follow(self._root, reference), seen):
            return True
        return any(
            self._reaches(inner, seen)
            for key, inner in schema.items()
            if key not in ("$defs", "const", "default", "enum", "examples")
        )

    def _reference(self, schema: Mapping[str, Any]) -> Change | None:
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return None
        known = self._definitions.get(reference)
        if known is None:
            known = self._definitions[reference] = []
            made = self.change(follow(self._root, reference))
            if made is not None:
                known.append(made)
            return made
        # It is being made: a schema may hold itself.
        return lambda value: known[0](value) if known else value

    def _object(self, schema: Mapping[str, Any]) -> Change | None:
        properties = schema.get("properties", {})
        made = {name: self.change(inner) for name, inner in properties.items()}
        fields = {name: change for name, change in made.items() if change is not None}
        patterns = {
            pattern: change
            for pattern, inner in schema.get("patternProperties", {}).items()
            if (change := self.change(inner)) is not None
        }
        rest = self.change(schema.get("additionalProperties"))
        if not fields and not patterns and rest is None:
            return None
        if not patterns and rest is None:
            return _fields(list(fields.items()))
        known = frozenset(properties)
        taken = tuple(schema.get("patternProperties", ()))
        return _entries(fields, patterns, rest, known, taken)

    def _list(self, schema: Mapping[str, Any]) -> Change | None:
        first = [self.change(inner) for inner in schema.get("prefixItems", ())]
        rest = self.change(schema.get("items"))
        if rest is None and not any(first):
            return None
        return _items(first, rest)

    def _union(self, branches: list[Any]) -> Change | None:
        made = [(branch, self.change(branch)) for branch in branches]
        changes = [change for _, change in made if change is not None]
        if not changes:
            return None
        others = [branch for branch, change in made if change is None]
        is_alone = len(changes) == 1 and all(map(_is_plain, others))
        alone, fits = changes[0], self._fits

        def of_the_branch(value: Any) -> Any:
            if type(value) in _LEAVES:
                return value
            if is_alone:
                return alone(value)
            for branch, change in made:
                if isinstance(branch, Mapping) and fits(branch, value):
                    return value if change is None else change(value)
            return value

        return of_the_branch

    def _condition(self, schema: Mapping[str, Any]) -> Change | None:
        test = schema.get("if")
        then, otherwise = self.change(schema.get("then")), self.change(schema.get("else"))
        if not isinstance(test, Mapping) or (then is None and otherwise is None):
            return None
        fits = self._fits

        def of_the_case(value: Any) -> Any:
            change = then if fits(test, value) else otherwise
            return value if change is None else change(value)

        return of_the_case


def _is_plain(branch: Any) -> bool:
    return isinstance(branch, Mapping) and branch.get("type") in _PLAIN


def _own(schema: Mapping[str, Any]) -> Change | None:
    """What a schema says of numbers itself."""
    kinds = schema.get("type")
    if kinds == "integer" or (isinstance(kinds, list) and "integer" in kinds):
        return None if isinstance(kinds, list) and "number" in kinds else _whole
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        ints = frozenset(value for value in values if type(value) is int)
        if ints:
            return lambda value: int(value) if type(value) is float and value in ints else value
    return None


def _whole(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


def _fields(fields: list[tuple[str, Change]]) -> Change:
    def change_fields(value: Any) -> Any:
        if type(value) is not dict:
            return value
        changes: dict[str, Any] = {}
        for name, change in fields:
            if name in value:
                old = value[name]
                new = change(old)
                if new is not old:
                    changes[name] = new
        return {**value, **changes} if changes else value

    return change_fields


def _entries(
    fields: Mapping[str, Change],
    patterns: Mapping[str, Change],
    rest: Change | None,
    known: frozenset[str],
    taken: tuple[str, ...],
) -> Change:
    def changed(name: str, value: Any) -> Any:
        # 30 ms to import, and only a map with such keys needs it.
        from engine.sema.types.patterns import fits

        if name in fields:
            value = fields[name](value)
        for pattern, change in patterns.items():
            if fits(pattern, name):
                value = change(value)
        if rest is not None and name not in known and not any(fits(p, name) for p in taken):
            value = rest(value)
        return value

    def change_entries(value: Any) -> Any:
        if type(value) is not dict:
            return value
        made = {name: changed(name, inner) for name, inner in value.items()}
        return value if all(made[name] is value[name] for name in made) else made

    return change_entries


def _items(first: list[Change | None], rest: Change | None) -> Change:
    count = len(first)

    def change_items(value: Any) -> Any:
        if type(value) is not list:
            return value
        if rest is _whole and not count and float not in set(map(type, value)):
            return value
        made = [
            item if (change := first[at] if at < count else rest) is None else change(item)
            for at, item in enumerate(value)
        ]
        return value if all(map(is_, made, value)) else made

    return change_items
