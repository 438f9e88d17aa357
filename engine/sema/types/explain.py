"""Why a value does not fit its schema, in words that name the place.

Only failures come here: validity itself is decided by jsonschema-rs in
`engine.sema.types.contract`, and so is every question asked on the way. This module walks down to
where a value fails, keyword by keyword, chooses what is nearest to what was meant (of a union, the
branch that fits best) and phrases it. Nothing here may call a valid value invalid.

A walk takes so many steps and no more, and says nothing longer than a line: schemas that refer to
themselves and values of many thousand items are told as well as that allows. No pattern of a
schema is ever matched by Python's `re`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import msgspec

from engine.sema.expressions.formats import WORDS, size_in_bytes
from engine.sema.expressions.metering import EvaluationError
from engine.sema.expressions.printing import json_text
from engine.sema.suggest import closest, names_list
from engine.sema.types.json_schema import REFERENCE_POINTER, follow
from engine.sema.types.patterns import MAX_KEY, is_linear

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = ["Compile", "Invariants", "explain_failure"]

#: Makes the validator of a schema that is alone.
Compile = Callable[[Mapping[str, Any]], "jsonschema_rs.Validator"]
#: Which messages of invariants do not hold, by their keys: `Contract.failed_invariants`.
Invariants = Callable[[Mapping[str, str], Any], list[str]]

#: The steps of one explanation: each keyword of each place looked at is one.
_STEPS = 10_000
#: What making a validator costs, by itself and for so many bytes of its schema.
_COMPILING = 10
_BYTES_PER_STEP = 500
#: Errors of one branch of a union that are weighed against those of another.
_WEIGHED = 16
#: Items of a list that are checked at once to find those that fail.
_PIECE = 256
#: Unknown fields that are named.
_NAMED = 5

_NOUNS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
_encode = msgspec.json.Encoder().encode


class _EnoughError(Exception):
    """The steps are used up."""


class _Finding:
    """A keyword that a value does not keep.

    Attributes:
        limit: What the keyword says.
        path: Where the value is.
        name: The key, keys or message it is about, for the keywords that have one.
    """

    __slots__ = ("base", "keyword", "limit", "name", "path", "schema", "value")

    def __init__(
        self, keyword: str, place: _Place, value: Any, path: tuple[Any, ...], name: Any = ""
    ) -> None:
        self.keyword = keyword
        self.schema = place.schema
        self.base = place.base
        self.limit: Any = place.schema.get(keyword)
        self.value = value
        self.path = path
        self.name = name


class _Place:
    """A schema, and the document its references are about."""

    __slots__ = ("base", "schema")

    def __init__(self, schema: Any, base: Mapping[str, Any]) -> None:
        self.schema = schema
        self.base = schema if isinstance(schema, Mapping) and "$id" in schema else base

    def inner(self, schema: Any) -> _Place:
        return _Place(schema, self.base)

    def alone(self) -> Mapping[str, Any]:
        """The schema with the definitions it needs."""
        if self.schema is True or self.schema is False:
            return {} if self.schema else {"not": {}}
        schema = {key: value for key, value in self.schema.items() if key != "$id"}
        definitions = self.base.get("$defs")
        if not isinstance(definitions, Mapping):
            return schema
        needed: dict[str, Any] = {}
        todo: list[Any] = [schema]
        while todo:
            for reference in _references(todo.pop()):
                name = reference.removeprefix("#/$defs/").partition("/")[0]
                name = name.replace("~1", "/").replace("~0", "~")
                if name in definitions and name not in needed:
                    needed[name] = definitions[name]
                    todo.append(definitions[name])
        return {**schema, "$defs": needed} if needed else schema


def _references(schema: Any) -> Iterator[str]:
    """The references in a schema, those of other documents inside it left out."""
    todo = [schema]
    while todo:
        current = todo.pop()
        if isinstance(current, Mapping):
            reference = current.get("$ref")
            if isinstance(reference, str):
                yield reference
            todo.extend(value for key, value in current.items() if key != "$defs")
        elif isinstance(current, list):
            todo.extend(current)


class _Search:
    """One explanation."""

    def __init__(
        self, document: Mapping[str, Any], compile: Compile, invariants: Invariants | None
    ) -> None:
        self.root = _Place(document, document)
        self._compile = compile
        self._invariants = invariants
        self._left = _STEPS
        self._made: dict[int, tuple[Any, Any]] = {}
        self._made_small: dict[bytes, Any] = {}

    # ------------------------------------------------------------ questions to the validator

    def _take(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise _EnoughError

    def _fits(self, place: _Place, value: Any) -> bool:
        self._take()
        made = self._made.get(id(place.schema))
        if made is None:
            made = (place.schema, self._validator(place.alone()))
            self._made[id(place.schema)] = made
        return _is_valid(made[1], value)

    def _keeps(self, keyword: str, wanted: Any, value: Any) -> bool:
        """Whether a value keeps one keyword that needs no other."""
        self._take()
        text = _encode({keyword: wanted})
        made = self._made_small.get(text)
        if made is None:
            made = self._made_small[text] = self._validator({keyword: wanted})
        return _is_valid(made, value)

    def _validator(self, schema: Mapping[str, Any]) -> Any:
        self._take(_COMPILING + len(_encode(schema)) // _BYTES_PER_STEP)
        return self._compile(schema)

    # ------------------------------------------------------------ walking down

    def findings(self, place: _Place, value: Any, path: tuple[Any, ...]) -> Iterator[_Finding]:
        """What is wrong with a value, from the outside in."""
        schema = place.schema
        if schema is False:
            yield _Finding("false", _Place({}, place.base), value, path)
        if not isinstance(schema, Mapping):
            return
        for keyword, wanted in schema.items():
            walk = _WALKS.get(keyword)
            if walk is not None:
                self._take()
                yield from walk(self, place, wanted, value, path)
            elif keyword in _SIMPLE and not self._keeps(keyword, wanted, value):
                yield _Finding(keyword, place, value, path)

    def _below(
        self, place: _Place, schema: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        inner = place.inner(schema)
        if not self._fits(inner, value):
            yield from self.findings(inner, value, path)

    def _reference(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        target = follow(place.base, wanted) if isinstance(wanted, str) else None
        if target is not None:
            yield from self._below(place, target, value, path)

    def _all(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        for branch in wanted:
            yield from self._below(place, branch, value, path)

    def _union(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        fitting = sum(self._fits(place.inner(branch), value) for branch in wanted)
        if fitting == 0:
            yield _Finding(
                "anyOf" if wanted is place.schema.get("anyOf") else "oneOf", place, value, path
            )
        elif fitting > 1 and wanted is place.schema.get("oneOf"):
            yield _Finding("oneOf", place, value, path, "several")

    def _not(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        if self._fits(place.inner(wanted), value):
            yield _Finding("not", place, value, path)

    def _if(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        then = "then" if self._fits(place.inner(wanted), value) else "else"
        if then in place.schema:
            yield from self._below(place, place.schema[then], value, path)

    # ------------------------------------------------------------ objects

    def _properties(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        if isinstance(value, dict):
            for name, schema in wanted.items():
                if name in value:
                    yield from self._below(place, schema, value[name], (*path, name))

    def _patterned(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        if not isinstance(value, dict):
            return
        whole = place.inner({"patternProperties": wanted})
        for keys in _pieces(list(value)):
            if self._fits(whole, {key: value[key] for key in keys}):
                continue
            for key, (pattern, schema) in product(keys, wanted.items()):
                if len(key) > MAX_KEY and not is_linear(pattern):
                    yield _Finding("patternProperties", place, value, path, key)
                elif self._keeps("pattern", pattern, key):
                    yield from self._below(place, schema, value[key], (*path, key))

    def _additional(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        if not isinstance(value, dict):
            return
        known = place.schema.get("properties", {})
        patterns = place.schema.get("patternProperties", {})
        others = [key for key in value if key not in known]
        every = dict.fromkeys(patterns, True)
        whole = place.inner({"additionalProperties": wanted, "patternProperties": every})
        for keys in _pieces(others):
            if self._fits(whole, {key: value[key] for key in keys}):
                continue
            unknown = [key for key in keys if not self._matches(patterns, key)]
            if wanted is False:
                name = unknown if patterns else others
                yield _Finding("additionalProperties", place, value, path, name)
                return
            for key in unknown:
                yield from self._below(place, wanted, value[key], (*path, key))

    def _matches(self, patterns: Iterable[str], key: str) -> bool:
        return any(self._keeps("pattern", pattern, key) for pattern in patterns)

    def _names(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        for key in value if isinstance(value, dict) else ():
            if not self._fits(place.inner(wanted), key):
                yield _Finding("propertyNames", place, value, path, key)

    def _required(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        for name in wanted if isinstance(value, dict) else ():
            if name not in value:
                yield _Finding("required", place, value, path, name)

    def _dependent(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        for name, schema in wanted.items() if isinstance(value, dict) else ():
            if name in value:
                yield from self._below(place, schema, value, path)

    # ------------------------------------------------------------ lists

    def _items(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        if not isinstance(value, list):
            return
        if isinstance(wanted, list):  # as older drafts write `prefixItems`
            yield from self._prefix(place, wanted, value, path)
            return
        index = len(place.schema.get("prefixItems", ()))
        whole = place.inner({"items": wanted})
        for piece in _pieces(value[index:]):
            if len(value) <= _PIECE or not self._fits(whole, piece):
                for place_in_list, item in enumerate(piece, index):
                    yield from self._below(place, wanted, item, (*path, place_in_list))
            index += len(piece)

    def _prefix(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        if isinstance(value, list):
            for index, (schema, item) in enumerate(zip(wanted, value, strict=False)):
                yield from self._below(place, schema, item, (*path, index))

    def _contains(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        keys = ("contains", "minContains", "maxContains")
        schema = {key: place.schema[key] for key in keys if key in place.schema}
        if not self._fits(place.inner(schema), value):
            yield _Finding("contains", place, value, path)

    def _unevaluated(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        # It is about what the keywords next to it have not looked at: it fails if they do not.
        names = ("unevaluatedItems", "unevaluatedProperties")
        rest = {key: inner for key, inner in place.schema.items() if key not in names}
        if self._fits(place.inner(rest), value) and not self._fits(place, value):
            kind = "unevaluatedItems" if isinstance(value, list) else "unevaluatedProperties"
            yield _Finding(kind, place, value, path)

    # ------------------------------------------------------------ keywords of our own

    def _asserts(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        if self._invariants is not None:
            for message in self._invariants(wanted, value):
                yield _Finding("x-asserts", place, value, path, message)

    def _max_bytes(
        self, place: _Place, wanted: Any, value: Any, path: tuple[Any, ...]
    ) -> Iterator[_Finding]:
        size = size_in_bytes(value)
        if size > wanted:
            yield _Finding("x-max-bytes", place, value, path, str(size))

    # ------------------------------------------------------------ unions

    def leaves(self, found: _Finding) -> Iterator[_Finding]:
        """What is worth telling: of a union, what the branch most likely meant says."""
        if found.keyword not in ("anyOf", "oneOf") or found.name:
            yield found
            return
        branch = self._meant(found)
        if branch is None:
            yield found
            return
        for inner in self.findings(branch, found.value, found.path):
            yield from self.leaves(inner)

    def _meant(self, found: _Finding) -> _Place | None:
        """The branch of a union that a value was meant for, None where that cannot be told."""
        branches = [_Place(branch, found.base) for branch in found.limit]
        for branch in branches:
            if (
                isinstance(branch.schema, Mapping)
                and branch.schema.get("$ref") == REFERENCE_POINTER
            ):
                # Where a reference may be: either it is one, or it is judged as the plain value.
                is_one = isinstance(found.value, dict) and {"$from", "$literal"} & set(found.value)
                return branch if is_one else next(b for b in branches if b is not branch)
        ranked = []
        for index, branch in enumerate(branches):
            inner = list(islice(self.findings(branch, found.value, found.path), _WEIGHED))
            ranked.append((_distance(inner, len(found.path)), index, inner))
        ranked.sort(key=lambda entry: entry[:2])
        best = ranked[0]
        if len(ranked) > 1 and best[0] == ranked[1][0]:
            return None
        if any(
            inner.keyword in ("type", "const", "enum") and len(inner.path) == len(found.path)
            for inner in best[2]
        ):
            return None
        return branches[best[1]]


_Walk = Callable[[_Search, _Place, Any, Any, tuple[Any, ...]], Iterator[_Finding]]
_WALKS: dict[str, _Walk] = {
    "$ref": _Search._reference,
    "additionalProperties": _Search._additional,
    "allOf": _Search._all,
    "anyOf": _Search._union,
    "contains": _Search._contains,
    "dependentSchemas": _Search._dependent,
    "if": _Search._if,
    "items": _Search._items,
    "not": _Search._not,
    "oneOf": _Search._union,
    "patternProperties": _Search._patterned,
    "prefixItems": _Search._prefix,
    "properties": _Search._properties,
    "propertyNames": _Search._names,
    "required": _Search._required,
    "unevaluatedItems": _Search._unevaluated,
    "unevaluatedProperties": _Search._unevaluated,
    "x-asserts": _Search._asserts,
    "x-max-bytes": _Search._max_bytes,
}
_SIMPLE_KEYWORDS = (
    "const dependentRequired enum exclusiveMaximum exclusiveMinimum format maxItems maxLength "
    "maxProperties maximum minItems minLength minProperties minimum multipleOf pattern type "
    "uniqueItems"
)
#: Keywords that the validator is asked for by themselves.
_SIMPLE = frozenset(_SIMPLE_KEYWORDS.split())


def explain_failure(
    document: Mapping[str, Any],
    value: Any,
    compile: Compile,
    invariants: Invariants | None,
    limit: int,
) -> list[str]:
    """At most `limit` sentences on a value that does not fit; [] if nothing is found.

    Args:
        document: The schema; it is alone.
        compile: Makes validators that decide as the document's own does.
    """
    search = _Search(document, compile, invariants)
    told: dict[str, _Finding] = {}
    try:
        for found in search.findings(search.root, value, ()):
            for leaf in search.leaves(found):
                told.setdefault(f"{_pointer(leaf.path)}: {_phrase(leaf)}", leaf)
                if len(told) >= limit:
                    raise _EnoughError
    # A value that is not JSON, or one nested too deeply, is explained by what was found before.
    except (_EnoughError, AttributeError, RecursionError, TypeError, ValueError):
        pass
    return sorted(told, key=lambda sentence: [str(part) for part in told[sentence].path])


def _pieces(items: list[Any]) -> Iterator[list[Any]]:
    """So many items at a time, to be checked together: most of a large value fits."""
    for start in range(0, len(items), _PIECE):
        yield items[start : start + _PIECE]


def _is_valid(validator: Any, value: Any) -> bool:
    try:
        return bool(validator.is_valid(value))
    except (ValueError, RecursionError):
        return False


def _distance(errors: list[_Finding], depth: int) -> tuple[int, int]:
    """How far a value is from a branch: a wrong tag or type at the root is farthest."""
    worst = 0
    for error in errors:
        at_root = len(error.path) == depth
        if error.keyword == "type" and at_root:
            worst = max(worst, 4)
        elif error.keyword in ("const", "enum"):
            worst = max(worst, 3)
        elif error.keyword in ("required", "additionalProperties") and at_root:
            worst = max(worst, 2)
        else:
            worst = max(worst, 1)
    return worst, len(errors)


# ---------------------------------------------------------------- words


def _pointer(path: Iterable[Any]) -> str:
    parts = [_clip(str(part)).replace("~", "~0").replace("/", "~1") for part in path]
    return "".join(f"/{part}" for part in parts) or "(root)"


def _clip(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _short(value: Any) -> str:
    """A value as JSON on one line; of a large one only the beginning is ever written."""
    beginning, left = _beginning(value, _SHOWN)
    try:
        text = json_text(beginning)
    except EvaluationError:
        text = "null" if isinstance(value, float) else repr(value)
    return _clip(text) if left >= 0 else text[: _SHOWN - 3] + "..."


#: How much of a value is shown, in characters.
_SHOWN = 60


def _beginning(value: Any, room: int) -> tuple[Any, int]:
    """As much of a value as takes so many characters or a little more, and the room that is left:
    less than none where something was left out."""
    if isinstance(value, str):
        return value[: max(0, room)], room - len(value) - 2
    left = room - 2
    if isinstance(value, list):
        items: list[Any] = []
        for item in value:
            if left <= 0:
                return items, -1
            piece, left = _beginning(item, left - 1)
            items.append(piece)
        return items, left
    if isinstance(value, dict):
        fields: dict[Any, Any] = {}
        for key, item in value.items():
            if left <= 0:
                return fields, -1
            name = key[:room] if isinstance(key, str) else key
            fields[name], left = _beginning(item, left - len(str(name)) - 4)
        return fields, left
    return value, left


def _count(number: Any, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _phrase(found: _Finding) -> str:
    limit, value, keyword = found.limit, found.value, found.keyword
    match keyword:
        case "type":
            wanted = [limit] if isinstance(limit, str) else limit
            nouns = " or ".join(_NOUNS.get(name, str(name)) for name in wanted)
            words = f"{_short(value)} is not {nouns}"
        case "minLength":
            words = f"{_short(value)} is shorter than {_count(limit, 'character')}"
        case "maxLength":
            words = f"{_short(value)} is longer than {_count(limit, 'character')}"
        case "minItems":
            words = f"a list of {len(value)} has fewer than {_count(limit, 'item')}"
        case "maxItems":
            words = f"a list of {len(value)} has more than {_count(limit, 'item')}"
        case "minProperties":
            words = f"an object of {len(value)} has fewer than {_count(limit, 'field')}"
        case "maxProperties":
            words = f"an object of {len(value)} has more than {_count(limit, 'field')}"
        case "const":
            words = f"{_short(value)} is not {_short(limit)}"
        case "enum":
            words = _phrase_choice(value, limit)
        case "format":
            words = f"{_short(value)} is not {WORDS.get(limit, limit)}"
        case "pattern" if limit == "^https?://":
            words = f"{_short(value)} does not begin with http:// or https://"
        case "required":
            words = _phrase_missing(found)
        case "additionalProperties" | "unevaluatedProperties":
            words = _phrase_unknown(found)
        case "anyOf" | "oneOf":
            words = _phrase_union(found)
        case "x-max-bytes":
            return f"has {found.name} bytes, at most {limit} are allowed (max-bytes)"
        case "x-asserts":
            return f"{found.name} (asserts)"
        case _ if keyword in _BETWEEN:
            words = f"{_short(value)} {_BETWEEN[keyword]} {_short(limit)}"
        case _:
            words = _OTHERS.get(keyword, "the value does not fit").replace(
                "NAME", _clip(found.name)
            )
    return f"{words} ({keyword})"


#: What is between the value and the limit.
_BETWEEN = {
    "exclusiveMaximum": "is not less than",
    "exclusiveMinimum": "is not more than",
    "maximum": "is more than",
    "minimum": "is less than",
    "multipleOf": "is not a multiple of",
    "pattern": "does not match",
}
_OTHERS = {
    "contains": "no item, or not the right number of them, is as asked for",
    "dependentRequired": "a field is missing that another one asks for",
    "false": "nothing may be here",
    "not": "the value is one of those that are excluded",
    "patternProperties": "the field `NAME` is too long to be matched with a pattern",
    "propertyNames": "`NAME` is not a valid name of a field",
    "unevaluatedItems": "the list has an item that nothing allows",
    "uniqueItems": "an item appears in the list twice",
}


def _phrase_choice(value: Any, choices: list[Any]) -> str:
    texts = [_short(choice) for choice in choices[:12]]
    near = None
    if isinstance(value, str):
        near = closest(value, [choice for choice in choices if isinstance(choice, str)])
    hint = f"; did you mean {_short(near)}?" if near is not None else ""
    return f"{_short(value)} is not one of {', '.join(texts)}{hint}"


def _phrase_missing(found: _Finding) -> str:
    others = (key for key in found.value if isinstance(key, str))
    known = found.schema.get("properties", {})
    written = closest(found.name, (key for key in others if key not in known))
    hint = f"; is `{written}` meant to be it?" if written is not None else ""
    return f"`{_clip(found.name)}` is missing{hint}"


def _phrase_unknown(found: _Finding) -> str:
    known = list(found.schema.get("properties", {}))
    declared = set(known)
    unknown = found.name or [key for key in found.value if key not in declared]
    hints = []
    for key in unknown[:_NAMED]:
        near = closest(str(key), (name for name in known if name not in found.value))
        hints.append(f"`{_clip(str(key))}`" + (f" (did you mean `{near}`?)" if near else ""))
    if len(unknown) > _NAMED:
        # With patterns, not all are known.
        exact = "patternProperties" not in found.schema
        hints.append(f"{len(unknown) - _NAMED} more" if exact else "others")
    verb = "is not a field" if len(hints) == 1 else "are not fields"
    listed = f"; the fields are {names_list(known)}" if known else ""
    return f"{', '.join(hints)} {verb} here{listed}"


def _phrase_union(found: _Finding) -> str:
    if found.name:
        return f"{_short(found.value)} fits more than one of what only one may fit"
    listed = " or ".join(dict.fromkeys(_branch_words(branch) for branch in found.limit))
    return f"{_short(found.value)} is not {listed}"


def _branch_words(branch: Any) -> str:
    if isinstance(branch, Mapping):
        if "$ref" in branch:
            return f"a valid {str(branch['$ref']).rpartition('/')[2]}"
        if "const" in branch:
            return _short(branch["const"])
        if "enum" in branch:
            return "one of " + ", ".join(_short(choice) for choice in branch["enum"][:8])
        if "title" in branch:
            return f"a valid {branch['title']}"
        if isinstance(branch.get("type"), str):
            return _NOUNS[branch["type"]]
    return "what one of the alternatives asks for"
