"""The rules of templates and expressions.

Errors of the language are raised in several files of this folder, by their code; what they mean is
written once, here (see `engine.diagnostics.rule`).
"""

from __future__ import annotations

from engine.diagnostics.rule import Rule

TEMPLATE_SYNTAX = Rule(
    code="ORC301",
    name="template-syntax",
    severity="error",
    summary="The text of a template is not valid Jinja2.",
    why="The text could not be rendered.",
    bad="""\
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.claim }" }""",
    good="""\
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.claim }}" }""",
    allowable=False,
)

UNKNOWN_TEMPLATE_FIELD = Rule(
    code="ORC302",
    name="unknown-template-field",
    severity="error",
    summary="A field is read that the type does not have.",
    why="A misspelt field would be an error in the middle of a run.",
    bad="""\
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.clam }}" }""",
    good="""\
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.claim }}" }""",
    allowable=True,
)

UNKNOWN_TEMPLATE_VARIABLE = Rule(
    code="ORC303",
    name="unknown-template-variable",
    severity="error",
    summary="A name is read that is not defined there.",
    why="A template sees the inputs, `param` and the templates, nothing else.",
    bad="""\
worker tell(question: string) -> string via llm { model = fast  prompt = "{{ quesion }}" }""",
    good="""\
worker tell(question: string) -> string via llm { model = fast  prompt = "{{ question }}" }""",
    allowable=True,
)

UNKNOWN_FILTER_OR_TEST = Rule(
    code="ORC304",
    name="unknown-filter-or-test",
    severity="error",
    summary="A filter or test is used that does not exist.",
    why="Filters and tests are those of Jinja2 and a few more.",
    bad="""\
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.claim | uper }}" }""",
    good="""\
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.claim | upper }}" }""",
    allowable=True,
)

OPTIONAL_NOT_GUARDED = Rule(
    code="ORC305",
    name="optional-not-guarded",
    severity="warning",
    summary="A value that may be null is used as if it were always there.",
    why="Null has no fields, and prints as nothing that was meant.",
    bad="""\
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.quote }}" }""",
    good="""\
worker tell(f: Finding) -> string via llm {
  model = fast
  prompt = "{{ f.quote or 'no quote' }}"
}""",
    allowable=True,
)

LOOP_OVER_SCALAR = Rule(
    code="ORC306",
    name="loop-over-scalar",
    severity="error",
    summary="A loop runs over something that is not a list.",
    why="A loop over a string gives its letters.",
    bad="""\
worker tell(f: Finding) -> string via llm {
  model = fast
  prompt = "{% for c in f.claim %}{{ c }}{% endfor %}"
}""",
    good="""\
worker tell(f: Finding) -> string via llm {
  model = fast
  prompt = "{% for c in f.claim.splitlines() %}{{ c }}{% endfor %}"
}""",
    allowable=True,
)

RECORD_PRINTED_RAW = Rule(
    code="ORC308",
    name="record-printed-raw",
    severity="warning",
    summary="A record or list is printed where text was probably meant.",
    why="A whole object in a prompt is rarely meant; `json` says that it is.",
    bad='worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f }}" }',
    good="""\
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f | json }}" }""",
    allowable=True,
)

TEMPLATE_NOT_FOUND = Rule(
    code="ORC309",
    name="template-not-found",
    severity="error",
    summary="A file named by `file(...)`, `include` or `import` cannot be found or read.",
    why="Paths are relative to the file; templates are looked up when a file is checked.",
    bad='worker tell() -> string via llm { model = fast  prompt = file("nowhere.j2") }',
    good='worker tell() -> string via llm { model = fast  prompt = "Hello" }',
    allowable=False,
)

SINGLE_BRACE_PLACEHOLDER = Rule(
    code="ORC310",
    name="single-brace-placeholder",
    severity="warning",
    summary="A placeholder is literal text: it has one brace, or is not in a template.",
    why="The model would read the braces, not the value.",
    bad="""\
worker tell(topic: string) -> string via llm { model = fast  prompt = "Topic: {topic}" }""",
    good="""\
worker tell(topic: string) -> string via llm { model = fast  prompt = "Topic: {{ topic }}" }""",
    allowable=True,
)

TEMPLATE_RECURSION = Rule(
    code="ORC313",
    name="template-recursion",
    severity="error",
    summary="A template includes or needs itself.",
    why="Rendering would never end.",
    bad='template a = "{{ a }}"',
    good='template a = "text"',
    allowable=False,
)
