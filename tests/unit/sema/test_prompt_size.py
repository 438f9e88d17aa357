"""How long prompts can get: measured from types, and held against texts that are that long."""

from __future__ import annotations

from typing import Any

import pytest

from engine.sema.check import check_file
from engine.sema.expressions.template import Template, TemplateFunction
from engine.sema.names.loader import DiskReader, OverlayReader
from engine.sema.prompt_size import longest_text
from engine.sema.types.definitions import (
    ANY,
    BOOL,
    INT,
    STRING,
    Array,
    Constant,
    Constrained,
    Definition,
    External,
    Field,
    Named,
    Optional,
    Record,
    Type,
    Union,
)

WORD = Constrained(STRING, {"maxLength": 7})
LINE = Constrained(STRING, {"maxLength": 30, "x-max-bytes": 20})
ITEM = Record("Item", (Field("name", WORD), Field("note", Optional(LINE)), Field("ok", BOOL)))
ITEMS = Constrained(Array(ITEM), {"maxItems": 3})
NAMES: dict[str, Type] = {
    "word": WORD,
    "item": ITEM,
    "items": ITEMS,
    "words": Constrained(Array(WORD), {"maxItems": 4}),
    "kind": Union((Constant("a"), Constant("abc"))),
    "rank": Constrained(Constrained(INT, {"minimum": -5}), {"maximum": 99}),
    "outside": External("Outside", {"type": "string", "maxLength": 12}, {}),
}
LONGEST_ITEM = {"name": "w" * 7, "note": "n" * 20, "ok": False}
LONGEST: dict[str, Any] = {
    "word": "w" * 7,
    "item": LONGEST_ITEM,
    "items": [LONGEST_ITEM] * 3,
    "words": ["w" * 7] * 4,
    "kind": "abc",
    "rank": 99,
    "outside": "o" * 12,
}
GREET = TemplateFunction(
    "greet",
    ("who", "mark"),
    {"mark": "!"},
    Template("Dear {{ who }}{{ mark }}", name="greet"),
)
KNOWN = {"param": {"tone": "dry", "rules": ["one", "three"], "loud": False}, "greet": GREET}
FILES = {"part.j2": "<{{ word }}{% for w in words %}{{ w }}{% endfor %}>"}


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "{{ word }}, {{ kind }}, {{ rank }}, {{ outside }}",
        "{{ item.name }}{{ item['note'] }}{{ item.ok }}",
        "{{ item | json }}",
        "{{ items }} {{ words | tojson }}",
        "{% for i in items %}{{ i.name }}: {{ i.note or '-' }}\n{% endfor %}",
        "{% for i in items | sort(attribute='name') %}{% for w in words %}{{ w }}{% endfor %}"
        "{% endfor %}",
        "{% for i in items if i.name %}x{% endfor %}",
        "{% for i in [] %}{{ i }}{% else %}nothing{% endfor %}",
        "{% if item.note %}{{ item.note }}{% else %}none{% endif %}",
        "{% if param.loud %}{{ item | json }}{% elif word %}{{ word }}{% endif %}",
        "{{ words | join(', ') }}{{ words[0] }}{{ words | first }}",
        "{{ word | upper }}{{ word | untrusted }}{{ item.note | truncate(5, true, '') }}",
        "{{ none | default(word) }}{{ word ~ '-' ~ rank }}{{ word if item.ok else item.note }}",
        "{% set w = word ~ word %}{{ w }}{% with v = w ~ '.' %}{{ v }}{% endwith %}",
        "{{ param.tone }}{% for r in param.rules %}- {{ r }}{% endfor %}",
        "{{ greet(word) }}{{ greet(item.note, mark='?') }}",
        "{% include 'part.j2' %}{% include 'none.j2' ignore missing %}",
    ],
)
def test_the_longest_values_render_to_what_was_measured(text: str) -> None:
    template = Template(text, KNOWN, FILES.get)
    rendered = template.render(LONGEST)
    assert longest_text(template, NAMES) == len(rendered), rendered


TREE = Definition("Tree")
TREE.type = Record(
    "Tree",
    (
        Field("name", WORD),
        Field("under", Constrained(Array(Named(TREE)), {"maxItems": 2})),
        Field("beside", Optional(Named(TREE))),
        Field("above", Constrained(Named(TREE), {"x-max-bytes": 900})),
    ),
)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("{{ open }}", 0),
        ("{{ anything | json }}{{ anything.a.b }}", 0),
        ("{% for o in opens %}ab{% endfor %}", 2),
        ("{{ word | replace('w', 'ww') }}{{ words | length }}{{ word[:2] }}", 0),
        ("{% for w in words %}{% if loop.first %}{{ w }}{% endif %}{% endfor %}", 0),
        ("{% macro m(a) %}{{ a }}{% endmacro %}{{ m(word) }}", 0),
        ("{% for b in few_bytes %}{{ b }}{% endfor %}", 7),
        ("{% extends 'part.j2' %}{{ word }}", 0),
    ],
)
def test_what_is_not_known_counts_as_nothing(text: str, most: int) -> None:
    names: dict[str, Type] = {
        **NAMES,
        "open": STRING,
        "opens": Array(STRING),
        "anything": ANY,
        "few_bytes": Constrained(Array(WORD), {"maxItems": 9, "x-max-bytes": 20}),
    }
    assert longest_text(Template(text, KNOWN, FILES.get), names) == most


def test_a_schema_in_itself_ends() -> None:
    assert 0 < longest_text(Template("{{ tree | json }}"), {"tree": Named(TREE)}) < 100


def test_conditions_in_conditions_are_measured_as_deep_as_they_can_be_read() -> None:
    for depth in (20, 200, 2_000):
        text = "{% if word %}" * depth + "{{ word }}" + "{% endif %}" * depth
        assert longest_text(Template(text), NAMES) in (0, 7)
        assert longest_text(Template(f"{{{{ {'word or ' * depth} word }}}}"), NAMES) in (0, 7)


def test_templates_that_multiply_are_measured_in_bounded_work() -> None:
    known: dict[str, Any] = {}
    last = TemplateFunction("t0", ("x",), {}, Template("{{ x }}"))
    for number in range(1, 40):
        known = {f"t{number - 1}": last}
        text = f"{{{{ t{number - 1}(x) }}}}" * 2
        last = TemplateFunction(f"t{number}", ("x",), {}, Template(text, known))
    assert longest_text(Template("{{ last(word) }}", {"last": last}), NAMES) >= 0


PROGRAM = """orch 1
model m {{ id = "openai/nobody-knows-it"  context = 100  max_tokens = 10 }}
schema Note = string @length(max: {most})
worker tell(note: Note) -> string via llm {{
  model = m
  {comment}
  prompt = "{{{{ note }}}}"
}}
"""


def _check(most: int, comment: str = "") -> list[str]:
    text = PROGRAM.format(most=most, comment=comment)
    result = check_file("main.orch", reader=OverlayReader(DiskReader(), "main.orch", text))
    assert (result.program is None) == bool(result.diagnostics)
    return [item.message for item in result.diagnostics]


def test_a_program_whose_prompt_cannot_fit_is_not_handed_out() -> None:
    assert _check(363) == []
    assert _check(364) == ["the prompt of `tell` has at worst 91 tokens, model `m` takes 90"]


def test_it_can_be_allowed() -> None:
    assert _check(4_000, "// orch: allow[ORC311] notes are short") == []
