"""The inputs of a run: read from what a person typed, checked like any other boundary."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from engine.errors import InputError
from engine.sema.types.contract import Contract

__all__ = ["checked_input", "typed_inputs"]


def typed_inputs(contract: Contract, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Inputs given as text (`-i key=value`), read by the type each input has.

    An input that takes a string takes the text as it is; any other is read as JSON.

    Raises:
        InputError: An input is not there, or its text is not JSON where JSON is needed.
    """
    properties: Mapping[str, Any] = contract.schema.get("properties", {})
    values: dict[str, Any] = {}
    problems = []
    for key, text in pairs:
        if key not in properties:
            problems.append(_unknown(key, properties))
            continue
        if _takes_text(properties[key], contract.schema):
            values[key] = text
            try:
                parsed = msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                continue
            # `T?`, unions and `json` take text too; a value that only fits as JSON is JSON.
            if not _only_text(properties[key], contract.schema) and not isinstance(parsed, str):
                values[key] = parsed
            continue
        try:
            values[key] = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            shown = text if len(text) <= 40 else text[:37] + "..."
            problems.append(f"input `{key}`: `{shown}` is not JSON, and `{key}` takes no text")
    if problems:
        raise InputError(problems)
    return values


def _target(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(16):
        if not (isinstance(schema, Mapping) and "$ref" in schema):
            break
        schema = root.get("$defs", {}).get(str(schema["$ref"]).removeprefix("#/$defs/"), {})
    return schema if isinstance(schema, Mapping) else {}


def _takes_text(schema: Any, root: Mapping[str, Any]) -> bool:
    schema = _target(schema, root)
    kind = schema.get("type")
    if kind == "string" or (isinstance(kind, list) and "string" in kind):
        return True
    if "const" in schema:
        return isinstance(schema["const"], str)
    if "enum" in schema:
        return any(isinstance(item, str) for item in schema["enum"])
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if options:
        return any(_takes_text(option, root) for option in options)
    return kind is None


def _only_text(schema: Any, root: Mapping[str, Any]) -> bool:
    schema = _target(schema, root)
    if schema.get("type") == "string" or isinstance(schema.get("const"), str):
        return True
    if "enum" in schema:
        return all(isinstance(item, str) for item in schema["enum"])
    return False


def checked_input(contract: Contract, values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with defaults filled in.

    Raises:
        InputError: They do not fit; one problem each, with the path of the value.
    """
    properties: Mapping[str, Any] = contract.schema.get("properties", {})
    unknown = [_unknown(key, properties) for key in values if key not in properties]
    missing = [
        f"input `{key}` is missing"
        for key in contract.schema.get("required", ())
        if key not in values
    ]
    if unknown or missing:
        raise InputError([*unknown, *missing])
    filled: dict[str, Any] = contract.with_defaults(dict(values))
    problems = contract.problems(filled)
    if problems:
        raise InputError([_say(problem) for problem in problems])
    return filled


def _say(problem: str) -> str:
    if problem.startswith("/"):
        path, _, words = problem.partition(": ")
        name, _, rest = path[1:].partition("/")
        where = f"input `{name}`" + (f" at /{rest}" if rest else "")
        return f"{where}: {words}"
    return f"input: {problem}"


def _unknown(key: str, properties: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, properties, 1)
    if close:
        return f"there is no input `{key}`; did you mean `{close[0]}`?"
    known = ", ".join(f"`{name}`" for name in properties) or "none"
    return f"there is no input `{key}` (inputs: {known})"
