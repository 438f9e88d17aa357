"""Why a value does not fit its schema, in words that name the place.

Only failures come here: validity itself is decided by jsonschema-rs in `engine.sema.contract`.
jsonschema finds the errors, this module chooses those nearest to what was meant (of a union, the
branch that fits best) and phrases them. Nothing here may call a valid value invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing.exceptions import Unresolvable

from engine.sema.environment import EvaluationError, json_text
from engine.sema.formats import ASSERTED, WORDS, size_in_bytes
from engine.sema.jsonschema import REFERENCE_POINTER
from engine.sema.sampling import Sample
from engine.sema.suggest import closest, names_list

__all__ = ["explain_failure", "make_validator"]

#: Which messages of invariants do not hold, by their keys: `Contract.failed_invariants`.
Invariants = Callable[[Mapping[str, str], Any], list[str]]

_NOUNS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


def _format_checker() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, function in ASSERTED.items():
        checker.checkers = {**checker.checkers, name: (_for_strings(function), ())}
    return checker


def _for_strings(function: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or function(value)


@lru_cache(maxsize=256)
def _pattern_validator(pattern: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"pattern": pattern})


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # Python's `$` also matches before a last line end; the fast path's dialect is what counts.
    if isinstance(instance, str) and not _pattern_validator(pattern).is_valid(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _max_bytes(validator: Any, limit: int, instance: Any, schema: Any) -> Iterator[ValidationError]:
    size = size_in_bytes(instance)
    if size > limit:
        yield ValidationError(f"has {size} bytes, at most {limit} are allowed")


def make_validator(schema: Mapping[str, Any], invariants: Invariants) -> Any:
    """The jsonschema validator that agrees with `Contract.is_valid`."""

    def asserts(
        validator: Any, keys: Mapping[str, str], instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        for message in invariants(keys, instance):
            yield ValidationError(message)

    cls: Any = extend(  # type: ignore[no-untyped-call]
        Draft202012Validator,
        {"pattern": _pattern, "x-max-bytes": _max_bytes, "x-asserts": asserts},
    )
    return cls(schema, format_checker=_format_checker())


def explain_failure(
    schema: Mapping[str, Any], value: Any, invariants: Invariants, limit: int
) -> list[str]:
    """At most `limit` sentences on a value that does not fit; [] if nothing is found.

    Of a large value only the beginning is looked at, and there is always a sentence.
    """
    try:
        sample = Sample(value)
        errors = list(make_validator(schema, invariants).iter_errors(sample.value))
        errors = [leaf for error in errors for leaf in _leaves(error)]
    # A value that is no JSON, or one nested too deeply, is told by the fast path's own words.
    except (RecursionError, TypeError, ValueError, Unresolvable):
        return []
    if not sample.is_whole:
        errors = [error for error in errors if _holds(error, sample)]
        if not errors:
            return ["(root): the value does not fit, and is too large to say where"]
    errors.sort(key=lambda error: [str(part) for part in error.absolute_path])
    sentences = [f"{_pointer(error.absolute_path)}: {_phrase(error)}" for error in errors]
    return [it[:_LONGEST_SENTENCE] for it in dict.fromkeys(sentences)][:limit]


#: How much of a sentence is told, in characters: keys of objects may be of any length.
_LONGEST_SENTENCE = 4_000
#: Keywords that look at everything in a value.
_DEEP = frozenset({"const", "enum", "uniqueItems", "x-asserts", "x-max-bytes"})


def _holds(error: ValidationError, sample: Sample) -> bool:
    """Whether an error in the beginning of a value is one of the value."""
    part = error.instance
    if sample.was_cut(part):
        if error.validator == "maxItems":
            error.instance = sample.whole_of(part)
        return error.validator in ("maxItems", "type")
    return error.validator not in _DEEP or not sample.lacks(part)


def _leaves(error: ValidationError) -> list[ValidationError]:
    """The errors worth telling: of a union, those of the branch that was most likely meant."""
    if error.validator not in ("anyOf", "oneOf") or not error.context:
        return [error]
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    chosen = _reference_branch(error)
    if chosen is not None:
        # Where a reference may stand: either it is one, or it is judged as the plain value.
        is_reference = isinstance(error.instance, dict) and bool(
            {"$from", "$literal"} & set(error.instance)
        )
        kept = [errors for index, errors in branches.items() if (index == chosen) == is_reference]
        return [leaf for errors in kept for inner in errors for leaf in _leaves(inner)]
    ranked = sorted(branches.values(), key=_distance)
    if len(ranked) > 1 and _distance(ranked[0]) == _distance(ranked[1]):
        return [error]
    if _is_other_type(ranked[0], error.instance):
        return [error]
    return [leaf for inner in ranked[0] for leaf in _leaves(inner)]


def _reference_branch(error: ValidationError) -> int | None:
    """The place of the branch that allows a reference instead of the value, if there is one."""
    alternatives: Any = error.validator_value
    for index, branch in enumerate(alternatives):
        if isinstance(branch, Mapping) and branch.get("$ref") == REFERENCE_POINTER:
            return index
    return None


def _is_other_type(errors: list[ValidationError], value: Any) -> bool:
    """Whether a branch fails at its root already, by type or constant."""
    return any(
        error.validator in ("type", "const", "enum") and error.instance is value for error in errors
    )


def _distance(errors: list[ValidationError]) -> tuple[int, int]:
    """How far a value is from a branch: a wrong tag or type at the root is farthest."""
    worst = 0
    for error in errors:
        depth = len(error.relative_path)
        if error.validator == "type" and depth == 0:
            worst = max(worst, 4)
        elif error.validator in ("const", "enum"):
            worst = max(worst, 3)
        elif error.validator in ("required", "additionalProperties") and depth == 0:
            worst = max(worst, 2)
        else:
            worst = max(worst, 1)
    return worst, len(errors)


def _pointer(path: Iterable[Any]) -> str:
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in path]
    return "".join(f"/{part}" for part in parts) or "(root)"


def _short(value: Any) -> str:
    try:
        text = json_text(value)
    except EvaluationError:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _count(number: Any, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _phrase(error: ValidationError) -> str:
    limit: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "type":
            wanted = [limit] if isinstance(limit, str) else limit
            return f"{_short(value)} is not {' or '.join(_NOUNS[w] for w in wanted)} (type)"
        case "minLength":
            return f"{_short(value)} is shorter than {_count(limit, 'character')} (minLength)"
        case "maxLength":
            return f"{_short(value)} is longer than {_count(limit, 'character')} (maxLength)"
        case "minimum":
            return f"{_short(value)} is less than {limit} (minimum)"
        case "maximum":
            return f"{_short(value)} is more than {limit} (maximum)"
        case "minItems":
            return f"a list of {len(value)} has fewer than {_count(limit, 'item')} (minItems)"
        case "maxItems":
            return f"a list of {len(value)} has more than {_count(limit, 'item')} (maxItems)"
        case "uniqueItems":
            return "an item stands in the list twice (uniqueItems)"
        case "const":
            return f"{_short(value)} is not {_short(limit)} (const)"
        case "enum":
            return _phrase_choice(value, limit)
        case "format":
            return f"{_short(value)} is not {WORDS.get(limit, limit)} (format)"
        case "pattern" if limit == "^https?://":
            return f"{_short(value)} does not begin with http:// or https:// (pattern)"
        case "pattern":
            return f"{_short(value)} does not match {_short(limit)} (pattern)"
        case "required":
            return _phrase_missing(error)
        case "additionalProperties" | "unevaluatedProperties":
            return _phrase_unknown(error)
        case "anyOf" | "oneOf":
            return _phrase_union(error)
        case "x-max-bytes" | "x-asserts":
            return f"{error.message} ({error.validator.removeprefix('x-')})"
    message = error.message
    return f"{message if len(message) <= 160 else message[:157] + '...'} ({error.validator})"


def _phrase_choice(value: Any, choices: list[Any]) -> str:
    texts = [_short(choice) for choice in choices]
    near = None
    if isinstance(value, str):
        near = closest(value, [choice for choice in choices if isinstance(choice, str)])
    hint = f"; did you mean {_short(near)}?" if near is not None else ""
    return f"{_short(value)} is not one of {', '.join(texts[:12])}{hint} (enum)"


def _phrase_missing(error: ValidationError) -> str:
    # jsonschema gives one error for each missing key; the key stands only in its message.
    names: Any = error.validator_value
    for name in names:
        if error.message == f"{name!r} is a required property":
            schema: Any = error.schema
            value: Any = error.instance
            others = {key for key in value if isinstance(key, str)}
            written = closest(name, others - set(schema.get("properties", {})))
            hint = f"; is `{written}` meant to be it?" if written is not None else ""
            return f"`{name}` is missing{hint} (required)"
    return f"{error.message} (required)"


def _phrase_unknown(error: ValidationError) -> str:
    schema: Any = error.schema
    value: Any = error.instance
    known = list(schema.get("properties", {}))
    unknown = [key for key in value if key not in known]
    if not unknown:
        return f"{error.message} ({error.validator})"
    hints = []
    for key in unknown:
        near = closest(str(key), [name for name in known if name not in value])
        hints.append(f"`{key}`" + (f" (did you mean `{near}`?)" if near else ""))
    verb = "is not a field" if len(hints) == 1 else "are not fields"
    listed = f"; the fields are {names_list(known)}" if known else ""
    return f"{', '.join(hints)} {verb} here{listed} ({error.validator})"


def _phrase_union(error: ValidationError) -> str:
    branches: Any = error.validator_value
    listed = " or ".join(dict.fromkeys(_branch_words(branch) for branch in branches))
    return f"{_short(error.instance)} is not {listed} ({error.validator})"


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
