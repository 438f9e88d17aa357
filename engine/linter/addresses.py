"""ORC809: a value in the path of an address that could be more than one segment of it.

At run time such a value is refused (`engine.sema.expressions.address`). Here the file says so while
it is written, with `| segment` as the remedy. A value whose type leaves no doubt is let alone: a
number, a date, a choice of words, a text whose pattern allows nothing that ends a segment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import setting_of
from engine.linter.subject import Subject
from engine.sema.expressions.address import Reader, is_written, parts_of
from engine.sema.expressions.segments import segment
from engine.sema.kinds.http import HTTP
from engine.sema.model import Verifier, Worker
from engine.sema.templates.check_template import check_expression
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import ANY, Record, Type
from engine.sema.types.json_schema import follow
from engine.sema.types.patterns import fits
from engine.syntax import ast

__all__ = ["value_in_path"]

VALUE_IN_PATH = Rule(
    code="ORC809",
    name="value-in-path",
    severity="warning",
    summary="A text that may contain a `/` is added to the path of an address.",
    why=(
        "A model chooses the text: `x/../../admin` would be another path of the same host, "
        "requested with the worker's key. Such a value is refused at run time; `segment` encodes "
        "it. Numbers, choices of words and texts with a plain pattern do not need it."
    ),
    bad="""\
worker profile(id: string) -> json via http {
  url = "https://a.example/users/" ~ id ~ "/profile"  timeout = 5s
}""",
    good="""\
worker profile(id: string) -> json via http {
  url = "https://a.example/users/" ~ (id | segment) ~ "/profile"  timeout = 5s
}""",
    allowable=True,
)

_ENCODED = ("segment", "urlencode")
#: Formats whose texts are one segment each.
_ONE_SEGMENT = frozenset({"date", "date-time", "time", "duration", "uuid", "ipv4"})
_MAX_DEPTH = 16


def value_in_path(subject: Subject) -> Iterator[Diagnostic]:
    """ORC809: each text that is added to the path of an address as it is."""
    program = subject.program
    for name, entity in subject.declared.items():
        owner = program.workers.get(name) or program.verifiers.get(name)
        node = entity.declaration
        if owner is None or owner.kind != HTTP.name or subject.in_doubt(owner.span):
            continue
        assert isinstance(node, ast.WorkerDecl | ast.VerifierDecl)
        url = setting_of(node.body, "url")
        if url is not None:
            names = _names(owner)
            for part in _in_path(url, Reader()):
                if not _is_segment(part, names):
                    yield _finding(part, owner)


def _names(owner: Worker | Verifier) -> Mapping[str, Type]:
    record = owner.inputs.type
    fields = record.fields if isinstance(record, Record) else ()
    return {field.name: field.type for field in fields}


def _finding(part: ast.Expr, owner: Worker | Verifier) -> Diagnostic:
    value = part
    if isinstance(part, ast.FilterCall) and part.name.text == "urlencode":
        value = part.operand
        edit = Edit(part.name.span, "segment")
    elif isinstance(part, ast.Variable | ast.Attribute | ast.Index):
        edit = Edit(part.span, f"({part.span.text} | segment)")
    else:
        edit = Edit(part.span, f"(({part.span.text}) | segment)")
    shown = " ".join(value.span.text.split())
    return diagnostic(
        "ORC809",
        f"`{shown}` may be more than one segment of the path, and is refused then",
        part.span,
        help=f"write `({shown} | segment)`",
        fix=Fix("encode it with `segment`", (edit,)),
        related=(Related("in this worker", owner.span),),
    )


def _in_path(url: ast.Expr, reader: Reader) -> Iterator[ast.Expr]:
    """The values in the path of an address."""
    for at, part in enumerate(parts_of(url)):
        if isinstance(part, ast.Conditional):
            yield from _in_path(part.then, reader.copy())
            yield from _in_path(part.otherwise, reader)
        elif isinstance(part, ast.String):
            reader.read(part.value)
        elif is_written(part):
            if reader.place == "scheme":
                reader.read("http://host")
        elif reader.place == "scheme" and at == 0:
            return  # the address is a value as a whole, or made by a template
        elif reader.place == "path":
            yield part


def _is_segment(part: ast.Expr, names: Mapping[str, Type]) -> bool:
    """Whether a value is one segment, whatever it is."""
    if isinstance(part, ast.FilterCall) and part.name.text == "segment":
        return True
    if isinstance(part, ast.FilterCall) and part.name.text in _ENCODED:
        part = part.operand
    type_ = check_expression(part, {"task": ANY, **names}, lambda _: None)
    schema = Contract(type_).schema
    return _one_segment(schema, schema, 0)


def _one_segment(schema: Any, root: Mapping[str, Any], depth: int) -> bool:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return False
    if "$ref" in schema:
        return _one_segment(follow(root, schema["$ref"]), root, depth + 1)
    if "const" in schema:
        return _is_plain(schema["const"])
    if isinstance(schema.get("enum"), list):
        return all(map(_is_plain, schema["enum"]))
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            return all(_one_segment(branch, root, depth + 1) for branch in schema[key])
    kinds = schema.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind == "string":
            pattern = schema.get("pattern")
            known = isinstance(pattern, str) and _is_plain_pattern(pattern)
            if not known and schema.get("format") not in _ONE_SEGMENT:
                return False
        elif kind not in ("integer", "number", "boolean", "null"):
            return False
    return True


def _is_plain(value: Any) -> bool:
    """Whether a constant is sent as it is."""
    if not isinstance(value, str):
        return not isinstance(value, list | dict)
    try:
        return "%" not in segment(value) or not any(char in value for char in "/\\?#%")
    except ValueError:
        return False


#: What a plain pattern is made of: letters and digits, groups, classes of these, counts.
_CHARACTER = r"(?:[A-Za-z0-9_~-]|\\[dw._~-])"
_RANGE = r"(?:0-9|a-z|A-Z|a-f|A-F|[0-9]-[0-9]|[a-z]-[a-z]|[A-Z]-[A-Z])"
_PLAIN = re.compile(
    rf"(?:{_CHARACTER}|\[(?:{_RANGE}|{_CHARACTER}|\.)+\]|\((?!\?)|\)|[*+?]|\{{[0-9]+(?:,[0-9]*)?\}})*"
)
_CHOICE = re.compile(r"\([^()]*\)")


def _is_plain_pattern(pattern: str) -> bool:
    """Whether every text that a pattern allows is one segment, as far as its form says so.

    It is anchored and of letters, digits and `-_.~`; what says "anything but" is not plain.
    """
    if not (pattern.startswith("^") and pattern.endswith("$")):
        return False
    # A choice is plain within a group alone: `^a|b$` allows anything after an `a`.
    body = _CHOICE.sub(lambda group: group[0].replace("|", ""), pattern[1:-1])
    if not _PLAIN.fullmatch(body):
        return False
    return not any(fits(pattern, text) for text in ("", ".", "..", "\n"))
