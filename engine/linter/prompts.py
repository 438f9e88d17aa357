"""ORC312: prompts that say in their own words what is said anyway."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import setting_of, strings_in
from engine.linter.subject import Subject
from engine.sema.types.definitions import Array, Optional, Record, Type, strip
from engine.syntax import ast

__all__ = ["schema_restated"]

_KEY = re.compile(r'"(\w+)"\s*:')
#: Fields a restated schema has at least: two keys may as well be an example of something.
_FIELDS = 2


SCHEMA_RESTATED = Rule(
    code="ORC312",
    name="schema-restated",
    severity="info",
    summary="A prompt writes out the schema of the output, which is sent along anyway.",
    why=(
        "The schema is sent along, with its doc comments; a second one in the prompt "
        "costs tokens and is forgotten when the first changes."
    ),
    bad='''\
worker tell(q: string) -> { title: string, body: string } via llm {
  model = fast
  prompt = """{{ q }} Answer as {"title": "...", "body": "..."}."""
}''',
    good="""\
worker tell(q: string) -> { title: string, body: string } via llm {
  model = fast
  prompt = "{{ q }} Answer in one paragraph."
}""",
    allowable=True,
)


def schema_restated(subject: Subject) -> Iterator[Diagnostic]:
    """ORC312: a prompt that writes the output's fields down as JSON."""
    for name, entity in subject.declared.items():
        worker, node = subject.program.workers.get(name), entity.declaration
        if worker is None or worker.facts.model is None or not isinstance(node, ast.WorkerDecl):
            continue
        record = _record(worker.output.type)
        fields = {field.name for field in record.fields} if record is not None else set()
        if len(fields) < _FIELDS:
            continue
        for setting in ("prompt", "system"):
            for text in strings_in(setting_of(node.body, setting)):
                if '"' not in text.value:
                    continue
                keys = [found for found in _KEY.finditer(text.value) if found[1] in fields]
                if {found[1] for found in keys} == fields:
                    yield diagnostic(
                        "ORC312",
                        f"the prompt of `{name}` repeats the schema of its output, which is sent "
                        "along anyway",
                        text.sub_span(keys[0].start(), keys[-1].end()),
                        help="say what a field means in its `///`, which is sent with it, and "
                        "leave the form out",
                    )


def _record(type_: Type) -> Record | None:
    while isinstance(type_ := strip(type_), Array | Optional):
        type_ = type_.item
    return type_ if isinstance(type_, Record) else None
