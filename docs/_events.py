"""The reference of events, made from `engine/events.py`.

A field's type comes from its annotation, its meaning from the docstring under it or from the
`Attributes` of its class, so the page cannot differ from the code.
"""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any, get_args

import msgspec

from engine import events

__all__ = ["events_page"]

_HEAD = """\
<!-- Made by docs/_generate.py from engine/events.py. Change it there. -->
# Events

A journal is a list of these records, in order. `orch export` writes them as JSON, one object per
line with its number `seq`. `Workflow.stream` yields them in Python. The state of a run is computed
by folding them: each event is applied to the state in turn.

The JSON of an event has its name as `type`, and omits fields that have their default value. New
versions may add fields, always with a default. They never remove a field or change its meaning. A
reader must ignore unknown fields. An engine refuses a journal with a newer format than its own
(`FORMAT`, now {format}).

- `at` is milliseconds of running time since the run began: waiting for a person and downtime do not
  count. Every event has it.
- `wall_ms` is Unix time in milliseconds.
- `*_usd` is a whole number of micro-dollars: `2815` is $0.002815.
- `key` is the structural path of a call or gate: `round 3 / decision 1 / task a2`.

"""


def events_page() -> str:
    """The text of `reference/events.md`."""
    tree = ast.parse(inspect.getsource(events))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    parts = [_HEAD.format(format=events.FORMAT)]
    for event in get_args(events.Event):
        parts += _record(event, classes[event.__name__], str(event.__struct_config__.tag))
    parts.append("## Records in events\n")
    for record in (events.ModelInfo, events.Usage, events.HeldTask):
        parts += _record(record, classes[record.__name__], record.__name__, "###")
    return "\n".join(parts)


def _record(record: Any, node: ast.ClassDef, title: str, level: str = "##") -> list[str]:
    said, attributes = _docstring(ast.get_docstring(node) or "")
    lines = [f"{level} `{title}`\n", f"{said}\n"]
    rows = []
    annotations = {
        item.target.id: ast.unparse(item.annotation)
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    notes = {**attributes, **_notes(node)}
    for field in msgspec.structs.fields(record):
        if field.name == "at":
            continue
        default = "" if field.required else f"`{_default(field)}`"
        type_ = annotations[field.name].replace("|", "\\|")
        rows.append(f"| `{field.name}` | `{type_}` | {default} | {notes.get(field.name, '')} |")
    if rows:
        lines += ["| field | type | default | |", "| --- | --- | --- | --- |", *rows, ""]
    return lines


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """The prose of a docstring, and what its `Attributes` say."""
    prose, _, listed = text.partition("Attributes:\n")
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w)", listed):
        name, separator, meaning = entry.strip().partition(": ")
        if separator:
            found[name] = " ".join(meaning.split())
    return prose.strip(), found


def _notes(node: ast.ClassDef) -> dict[str, str]:
    """The docstrings that follow fields."""
    found: dict[str, str] = {}
    for item, following in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(item, ast.AnnAssign)
            and isinstance(item.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            found[item.target.id] = " ".join(str(following.value.value).split())
    return found


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.json.encode(field.default_factory()).decode()
    return msgspec.json.encode(field.default).decode()
