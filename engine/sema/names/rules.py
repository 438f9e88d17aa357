"""The rules of names and imports.

Errors of the language are raised in several files of this folder, by their code; what they mean is
written once, here (see `engine.diagnostics.rule`).
"""

from __future__ import annotations

from engine.diagnostics.rule import Rule

UNKNOWN_NAME = Rule(
    code="ORC101",
    name="unknown-name",
    severity="error",
    summary=("A name is used that nothing declares: a model, worker, param, failure mode, ..."),
    why="Otherwise a misspelt name would only fail in the middle of a run.",
    bad='worker tell(q: string) -> string via llm { model = fats  prompt = "{{ q }}" }',
    good='worker tell(q: string) -> string via llm { model = fast  prompt = "{{ q }}" }',
    allowable=False,
)

DUPLICATE_NAME = Rule(
    code="ORC102",
    name="duplicate-name",
    severity="error",
    summary="A name is declared twice in one place, or is built in and may not be declared.",
    why="If two things have the same name, it is not clear which one is meant.",
    bad="""\
schema A { x: int }
schema A { y: int }""",
    good="""\
schema A { x: int }
schema B { y: int }""",
    allowable=False,
)

DUPLICATE_SETTING = Rule(
    code="ORC105",
    name="duplicate-setting",
    severity="error",
    summary="A setting, or a name in a list or union, is given twice.",
    why="One of the two would be ignored.",
    bad='model m { id = "x"  timeout = 30s  timeout = 40s }',
    good='model m { id = "x"  timeout = 30s }',
    allowable=False,
)

IMPORT_NOT_FOUND = Rule(
    code="ORC106",
    name="import-not-found",
    severity="error",
    summary="An imported file or schema cannot be found or read.",
    why="Paths are relative to the file that names them.",
    allowable=False,
)

IMPORT_CYCLE = Rule(
    code="ORC107",
    name="import-cycle",
    severity="error",
    summary="Files import each other in a circle.",
    why="Neither file could be read before the other; move what both need.",
    allowable=False,
)

WRONG_KIND = Rule(
    code="ORC108",
    name="wrong-kind",
    severity="error",
    summary="A name is known, but what it names is of another kind than is needed here.",
    why="A model cannot be dispatched, a worker cannot plan.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search, judge]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=False,
)

SHADOWED_NAME = Rule(
    code="ORC109",
    name="shadowed-name",
    severity="warning",
    summary="An input has the name of something that expressions see here, and hides it.",
    why="In expressions the input hides the name that the engine gives.",
    bad="""\
worker tell(param: string) -> string via llm { model = fast  prompt = "{{ param }}" }""",
    good="""\
worker tell(params: string) -> string via llm { model = fast  prompt = "{{ params }}" }""",
    allowable=True,
)
