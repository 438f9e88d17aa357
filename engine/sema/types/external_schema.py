"""JSON Schemas from files: read, checked, and cut out so that they are alone.

`schema Ticket from "t.schema.json#/$defs/Ticket"` keeps its meaning exactly; only its references
are renamed (`#/$defs/Customer` becomes `#/$defs/Ticket.Customer`), so it can live inside a larger
document. References to other files are not followed: a program is what its own files say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.sema.suggest import closest
from engine.sema.types.definitions import External
from engine.sema.types.json_schema import follow, map_subschemas
from engine.syntax import ast

__all__ = ["load_external"]

Report = Callable[[Diagnostic], None]

#: How deep schemas may be nested. Whoever walks them needs a few calls for each level, and Python
#: allows a thousand.
_MAX_DEPTH = 100

_DROPPED = ("$schema", "$id", "$anchor", "$dynamicAnchor", "$comment", "$defs", "definitions")


def load_external(name: str, reference: ast.String, text: str, report: Report) -> External | None:
    """The type of an external JSON Schema.

    Args:
        name: The name it gets, which its parts are named after.
        reference: What was written: `path`, or `path#/json/pointer`.
        text: The text of the file.
        report: Gets ORC207 (no JSON, no schema) and ORC208 (nothing at the pointer or behind a
            reference inside).
    """
    path, _, pointer = reference.value.partition("#")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        _invalid(
            report, reference, f"{path}: {error.msg} (line {error.lineno}, column {error.colno})"
        )
        return None
    except RecursionError:
        _invalid(report, reference, f"{path}: the JSON is nested too deeply")
        return None
    except ValueError as error:  # a number of more digits than Python converts
        _invalid(report, reference, f"{path}: {error}")
        return None
    problem = _schema_problem(document)
    if problem is not None:
        _invalid(report, reference, f"{path}: {problem}")
        return None
    target = follow(document, f"#{pointer}")
    if target is None:
        at = reference.value.index("#")
        near = closest(pointer, _pointers(document))
        report(
            diagnostic(
                "ORC208",
                f"`#{pointer}` does not exist in {path}",
                reference.sub_span(at, len(reference.value)),
                help=None if near is None else f"did you mean `#{near}`?",
            )
        )
        return None
    if not isinstance(target, Mapping | bool):
        _invalid(report, reference, f"{path}: `#{pointer}` is not a schema")
        return None
    cutter = _Cutter(name, document)
    try:
        schema = cutter.whole(target)
    except RecursionError:
        _invalid(report, reference, f"{path}: schemas are nested more than {_MAX_DEPTH} deep")
        return None
    if cutter.missing:
        for missing in cutter.missing:
            report(
                diagnostic(
                    "ORC208",
                    f"{path} refers to `{missing}`, which does not exist in it",
                    reference.span,
                    help=None
                    if missing.startswith("#")
                    else "only references inside the file "
                    "are followed; bundle the schemas into one file",
                )
            )
        return None
    doc = target.get("description") if isinstance(target, Mapping) else None
    result = External(name, schema, cutter.definitions, doc if isinstance(doc, str) else None)
    problem = _compile_problem(result.document)
    if problem is not None:
        _invalid(report, reference, f"{path}: {problem}")
        return None
    return result


def _invalid(report: Report, reference: ast.String, message: str) -> None:
    report(diagnostic("ORC207", message, reference.span))


def _schema_problem(document: Any) -> str | None:
    # 30 ms to import; only a file with external schemas pays for it.
    import jsonschema_rs

    if not isinstance(document, Mapping | bool):
        return "this is not a JSON Schema: it must be an object"
    dialect = _dialect(document)
    if isinstance(document, Mapping):
        document = {key: value for key, value in document.items() if key != "$schema"}
    # jsonschema takes a second and more for a document of 300 KB, and each of its schemas that
    # a program names comes by here: it is only asked to say what is wrong.
    if jsonschema_rs.meta.is_valid(document):
        return None

    # 70 ms to import; only a file with a broken schema pays for it.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(document)
    except SchemaError as error:
        place = "".join(f"/{part}" for part in error.absolute_path)
        message = error.message if len(error.message) < 200 else error.message[:197] + "..."
        return f"{dialect}`#{place}`: {message}"
    except RecursionError:
        return "the schema is nested too deeply"
    return None


def _dialect(document: Any) -> str:
    """What a message begins with where a document declares another dialect than ours."""
    declared = document.get("$schema") if isinstance(document, Mapping) else None
    if not isinstance(declared, str) or "draft/2020-12/" in declared:
        return ""
    known = re.search(r"json-schema\.org/draft(?:/|-)([0-9]{2,4}(?:-[0-9]{2})?)/", declared)
    name = declared[:80] if known is None else known[1]
    said = f"draft-{name}" if len(name) == 2 else name
    return f"it declares {said} and is read as 2020-12: "


def _compile_problem(document: Any) -> str | None:
    """What the fast validator has against a schema that is one by its form (a bad regex)."""
    # 30 ms to import; only a file with external schemas pays for it.
    import jsonschema_rs

    try:
        jsonschema_rs.Draft202012Validator(document, offline=True)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        return str(error).splitlines()[0]
    return None


def _pointers(document: Any) -> list[str]:
    """The pointers people mean: the whole, and each named definition."""
    found = [""]
    if isinstance(document, Mapping):
        for key in ("$defs", "definitions"):
            if isinstance(document.get(key), Mapping):
                found.extend(f"/{key}/{name}" for name in document[key])
    return found


class _Cutter:
    """Cuts a schema out of its document, with everything it refers to."""

    def __init__(self, name: str, document: Any) -> None:
        self.name = name
        self.document = document
        self.definitions: dict[str, Any] = {}
        self.missing: list[str] = []
        self._depth = 0
        self._names: dict[str, str] = {}
        self._todo: list[tuple[str, Any]] = []

    def whole(self, schema: Any) -> Any:
        """The schema, cut, and `definitions` filled with all it refers to.

        Raises:
            RecursionError: One is nested deeper than `_MAX_DEPTH`.
        """
        result = self.cut(schema)
        while self._todo:  # not by recursion: definitions may refer to one another in long rows
            name, target = self._todo.pop(0)
            self.definitions[name] = self.cut(target)
        return result

    def cut(self, schema: Any) -> Any:
        """The schema with its references renamed, and their targets noted."""
        if not isinstance(schema, Mapping):
            return schema
        if self._depth >= _MAX_DEPTH:
            raise RecursionError
        self._depth += 1
        bare = {key: value for key, value in schema.items() if key not in _DROPPED}
        result = map_subschemas(bare, self.cut)
        for key in ("$ref", "$dynamicRef"):
            if isinstance(result.get(key), str):
                result["$ref"] = f"#/$defs/{self._target(result.pop(key))}"
        self._depth -= 1
        return result

    def _target(self, reference: str) -> str:
        """The new name of what a reference means."""
        if reference in self._names:
            return self._names[reference]
        target = self._find(reference)
        last = re.sub(r"[^A-Za-z0-9_-]", "_", reference.rpartition("/")[2].lstrip("#")) or "root"
        name, number = f"{self.name}.{last}", 2
        while name in self._names.values():
            name, number = f"{self.name}.{last}{number}", number + 1
        self._names[reference] = name
        if target is None:
            self.missing.append(reference)
        else:
            self.definitions[name] = True  # its place, until it is cut
            self._todo.append((name, target))
        return name

    def _find(self, reference: str) -> Any:
        found = follow(self.document, reference)
        if found is None and re.fullmatch(r"#[A-Za-z_][-A-Za-z0-9._]*", reference):
            return _anchored(self.document, reference[1:])
        return found


def _anchored(schema: Any, anchor: str) -> Any:
    """The subschema with that `$anchor`, or None."""
    todo = [schema]
    while todo:
        current = todo.pop()
        if isinstance(current, Mapping):
            if anchor in (current.get("$anchor"), current.get("$dynamicAnchor")):
                return current
            todo.extend(current.values())
        elif isinstance(current, list):
            todo.extend(current)
    return None
