"""JSON Schemas from files: read, checked, and cut out so that they are alone.

`schema Ticket from "t.schema.json#/$defs/Ticket"` keeps its meaning exactly: it is read as its own
dialect means it and said in 2020-12 (`engine.sema.types.dialects`), and its references are renamed
(`#/$defs/Customer` becomes `#/$defs/Ticket.Customer`), so it can live inside a larger document.
They may lead to other files of the project (`engine.sema.types.resources`); nothing is fetched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.sema.suggest import closest
from engine.sema.types.definitions import External
from engine.sema.types.dialects import (
    DRAFT_2020,
    Dialect,
    UnknownDialect,
    dialect_of,
    modernised,
)
from engine.sema.types.json_schema import map_subschemas
from engine.sema.types.resources import Base, Library, Read, Unresolved, read_document
from engine.syntax import ast

__all__ = ["load_external", "self_contained"]

Report = Callable[[Diagnostic], None]

#: How deep schemas may be nested. Whoever walks them needs a few calls for each level, and Python
#: allows a thousand.
_MAX_DEPTH = 100
#: Keywords that do not count, told of one file.
_MAX_NOTES = 5

_DROPPED = frozenset(
    {
        "$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$comment",
        "$defs", "definitions",
    }
)  # fmt: skip
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def load_external(
    name: str,
    reference: ast.String,
    text: str,
    report: Report,
    *,
    path: str = "",
    read: Read | None = None,
) -> External | None:
    """The type of an external JSON Schema.

    Args:
        name: The name it gets, which its parts are named after.
        reference: What was written: `path`, or `path#/json/pointer`.
        text: The text of the file.
        report: Gets ORC207 (no JSON, no schema), ORC208 (nothing at the pointer or behind a
            reference), ORC110 (a reference out of the project) and ORC212 (keywords that do not
            count).
        path: The file's absolute path, which relative references in it start from.
        read: Reads other files, by absolute path; without it there are none.
    """
    shown, _, pointer = reference.value.partition("#")
    invalid = _Invalid(report, reference, shown)
    try:
        document = read_document(text)
        dialect = dialect_of(document)
    except UnknownDialect as error:
        invalid(f"it is written in {error}, a dialect that is not read")
        return None
    except ValueError as error:  # also a number of more digits than Python converts
        invalid(str(error))
        return None
    problem = _schema_problem(document, dialect)
    if problem is not None:
        invalid(problem)
        return None
    library = Library(read, _schema_problem)
    base = library.add(document, dialect, path)
    try:
        target, around = library.find(f"#{pointer}", base)
    except Unresolved:
        _report_pointer(report, reference, document, pointer)
        return None
    if not isinstance(target, Mapping | bool):
        invalid(f"`#{pointer}` is not a schema")
        return None
    return _cut(name, library, target, around, invalid)


class _Invalid:
    """Reports what is wrong with a file (ORC207)."""

    def __init__(self, report: Report, reference: ast.String, path: str) -> None:
        self.report = report
        self.reference = reference
        self.path = path

    def __call__(self, message: str) -> None:
        self.report(diagnostic("ORC207", f"{self.path}: {message}", self.reference.span))


def _report_pointer(report: Report, reference: ast.String, document: Any, pointer: str) -> None:
    """ORC208: there is nothing where the program points."""
    at = reference.value.index("#")
    near = closest(pointer, _pointers(document))
    report(
        diagnostic(
            "ORC208",
            f"`#{pointer}` does not exist in {reference.value[:at]}",
            reference.sub_span(at, len(reference.value)),
            help=None if near is None else f"did you mean `#{near}`?",
        )
    )


def _cut(
    name: str, library: Library, target: Any, around: Base, invalid: _Invalid
) -> External | None:
    """The schema cut out of its documents, or None, which was reported."""
    cutter = _Cutter(name, library)
    try:
        schema = cutter.whole(target, around)
    except RecursionError:
        invalid(f"schemas are nested more than {_MAX_DEPTH} deep")
        return None
    for missing, error in cutter.missing.items():
        code = "ORC208" if error.outside is None else "ORC110"
        message = f"{invalid.path} refers to `{missing}`, {error}"
        invalid.report(diagnostic(code, message, invalid.reference.span, help=error.help))
    for wrong in cutter.refused:
        invalid(wrong)
    if cutter.missing or cutter.refused:
        return None
    doc = target.get("description") if isinstance(target, Mapping) else None
    result = External(name, schema, cutter.definitions, doc if isinstance(doc, str) else None)
    problem = _compile_problem(result.document)
    if problem is not None:
        invalid(problem)
        return None
    _report_notes(cutter.notes, invalid)
    return result


def _report_notes(notes: list[str], invalid: _Invalid) -> None:
    """ORC212: keywords of the file that do not count."""
    more = f" (and {len(notes) - _MAX_NOTES} more)" if len(notes) > _MAX_NOTES else ""
    for at, note in enumerate(notes[:_MAX_NOTES], 1):
        invalid.report(
            diagnostic(
                "ORC212",
                f"{invalid.path}: {note}{more if at == _MAX_NOTES else ''}",
                invalid.reference.span,
                help="write what is meant in the dialect that the file declares, or take it out",
            )
        )


# ---------------------------------------------------------------- schemas of others


def self_contained(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that refers to nothing but itself, in 2020-12, with its `$defs`.

    Raises:
        ValueError: It leads elsewhere, or cannot be said there; the message says why.
    """
    library = Library()
    try:
        base = library.add(schema, dialect_of(schema))
    except UnknownDialect:
        base = library.add(schema, DRAFT_2020)  # read as the newest one
    cutter = _Cutter("x", library)
    try:
        result: Any = cutter.whole(schema, base)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    for missing in cutter.missing:
        raise ValueError(f"`{missing[:80]}` is not in it")
    for wrong in cutter.refused:
        raise ValueError(wrong)
    return {**result, "$defs": cutter.definitions} if cutter.definitions else dict(result)


# ---------------------------------------------------------------- checks


def _schema_problem(document: Any, dialect: Dialect) -> str | None:
    """What is wrong with a document by its own dialect, or None."""
    # 30 ms to import; only a file with external schemas pays for it.
    import jsonschema_rs

    if not isinstance(document, Mapping) or not dialect.schema:
        return None  # what OpenAPI says is checked where schemas are cut out
    document = {**document, "$schema": dialect.schema}
    # jsonschema takes a second and more for a document of 300 KB, and each of its schemas that
    # a program names comes by here: it is only asked to say what is wrong. Patterns are tried
    # when the schema is compiled: metaschemas ask for another kind of them.
    meta = {"$schema": dialect.schema, "$ref": dialect.schema}
    if jsonschema_rs.validator_for(meta, offline=True, validate_formats=False).is_valid(document):
        return None

    # 70 ms to import; only a file with a broken schema pays for it.
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for

    cls = validator_for(document)
    try:
        error = best_match(cls(cls.META_SCHEMA).iter_errors(document))
    except RecursionError:
        return "the schema is nested too deeply"
    if error is None:
        return None
    place = "".join(f"/{part}" for part in error.absolute_path)
    message = error.message if len(error.message) < 200 else error.message[:197] + "..."
    return f"{_said(dialect)}`#{place}`: {message}"


def _said(dialect: Dialect) -> str:
    """What a message begins with where a document is of another dialect than ours."""
    return "" if dialect is DRAFT_2020 else f"this is {dialect.name}: "


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
        components = document.get("components")
        holders: list[tuple[str, Mapping[str, Any], tuple[str, ...]]] = [
            ("", document, ("$defs", "definitions"))
        ]
        if isinstance(components, Mapping):
            holders.append(("/components", components, ("schemas",)))
        for prefix, holder, keys in holders:
            for key in keys:
                if isinstance(holder.get(key), Mapping):
                    found.extend(f"{prefix}/{key}/{name}" for name in holder[key])
    return found


# ---------------------------------------------------------------- cutting


class _Cutter:
    """Cuts a schema out of its documents, with everything it refers to.

    Attributes:
        definitions: What it refers to, by its new name.
        missing: The references that lead nowhere.
        refused: What cannot be said in 2020-12.
        notes: Keywords that do not count.
    """

    def __init__(self, name: str, library: Library) -> None:
        self.name = name
        self.definitions: dict[str, Any] = {}
        self.missing: dict[str, Unresolved] = {}
        self.refused: list[str] = []
        self.notes: list[str] = []
        self._library = library
        self._depth = 0
        self._path = ""
        self._names: dict[int, str] = {}
        self._todo: list[tuple[str, Any, Base]] = []
        self._seen: set[str] = set()

    def whole(self, schema: Any, base: Base) -> Any:
        """The schema, cut, and `definitions` filled with all it refers to.

        Raises:
            RecursionError: One is nested deeper than `_MAX_DEPTH`.
        """
        self._path = base.path
        result = self._cut(schema, base)
        while self._todo:  # not by recursion: definitions may refer to one another in long rows
            name, target, around = self._todo.pop(0)
            self.definitions[name] = self._cut(target, around)
        if base.dialect.name == "2019-09" and {"contains", "unevaluatedItems"} <= self._seen:
            self.refused.append(
                f"{_said(base.dialect)}`unevaluatedItems` means something else next to `contains` "
                "since 2020-12"
            )
        return result

    def _cut(self, schema: Any, base: Base) -> Any:
        """The schema with its references renamed, and their targets noted."""
        if not isinstance(schema, Mapping):
            return schema
        if self._depth >= _MAX_DEPTH:
            raise RecursionError
        self._depth += 1
        base = self._library.base_at(schema, base)
        self._seen.update(schema.keys() & {"contains", "unevaluatedItems"})
        modern = modernised(
            schema,
            base.dialect,
            lambda words: self._add(self.notes, base, words),
            lambda words: self._add(self.refused, base, words),
        )
        kept = {key: value for key, value in modern.items() if key not in _DROPPED}
        references = [(key, kept.pop(key)) for key in _REFERENCES if isinstance(kept.get(key), str)]
        result = map_subschemas(kept, lambda inner: self._cut(inner, base))
        targets = [{"$ref": f"#/$defs/{self._target(*it, base)}"} for it in references]
        if len(targets) == 1:
            result.update(targets[0])
        elif targets:
            result["allOf"] = [*result.get("allOf", ()), *targets]
        self._depth -= 1
        return result

    def _add(self, found: list[str], base: Base, words: str) -> None:
        """Keep what is said of a keyword, once."""
        message = f"{self._where(base)}this is {base.dialect.name}: {words}"
        if message not in found:
            found.append(message)

    def _where(self, base: Base) -> str:
        """The name of another file than the first."""
        return f"{os.path.basename(base.path)}: " if base.path != self._path else ""

    def _target(self, keyword: str, reference: str, base: Base) -> str:
        """The new name of what a reference means."""
        try:
            target, around = self._library.find(reference, base)
            self._check_dynamic(keyword, reference)
            if not isinstance(target, Mapping | bool):
                raise Unresolved("which is not a schema")
        except Unresolved as error:
            self.missing.setdefault(reference, error)
            return "missing"
        if id(target) not in self._names or isinstance(target, bool):
            last = re.sub(r"[^A-Za-z0-9_-]", "_", reference.rpartition("/")[2].lstrip("#"))
            name, number = f"{self.name}.{last or 'root'}", 2
            while name in self.definitions:
                name, number = f"{self.name}.{last or 'root'}{number}", number + 1
            self._names[id(target)] = name
            self.definitions[name] = True  # its place, until it is cut
            self._todo.append((name, target, around))
        return self._names[id(target)]

    def _check_dynamic(self, keyword: str, reference: str) -> None:
        """A reference that means another schema by the way that led to it is one no more, cut."""
        count = 0
        if keyword == "$recursiveRef":
            count = self._library.recursive
        elif keyword == "$dynamicRef":
            count = self._library.dynamic.get(reference.rpartition("#")[2], 0)
        if count > 1:
            raise Unresolved(f"which means {count} schemas, by the way that leads to it")
