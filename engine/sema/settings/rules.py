"""The rules of settings: their names, values, units and bounds.

Errors of the language are raised in several files of this folder, by their code; what they mean is
written once, here (see `engine.diagnostics.rule`).
"""

from __future__ import annotations

from engine.diagnostics.rule import Rule

UNKNOWN_SETTING = Rule(
    code="ORC103",
    name="unknown-setting",
    severity="error",
    summary="This kind of body has no such setting.",
    why=(
        "A misspelt setting would be ignored; so each kind of body has a closed list of settings."
    ),
    bad='model m { id = "x"  temprature = 0 }',
    good='model m { id = "x"  temperature = 0 }',
    allowable=False,
)

MISSING_SETTING = Rule(
    code="ORC104",
    name="missing-setting",
    severity="error",
    summary="A setting that this kind of body cannot do without is not there.",
    why="The body cannot be used without this setting.",
    bad="model m { temperature = 0 }",
    good='model m { id = "x"  temperature = 0 }',
    allowable=False,
)

MISSING_UNIT = Rule(
    code="ORC203",
    name="missing-unit",
    severity="error",
    summary="A duration, size, share or amount of money is a bare number.",
    why="Thirty what? Units are part of the number, so a reader need not know the setting.",
    bad='model m { id = "x"  timeout = 30 }',
    good='model m { id = "x"  timeout = 30s }',
    allowable=False,
)

NO_ROUND_BOUND = Rule(
    code="ORC401",
    name="no-round-bound",
    severity="error",
    summary="An orchestrator sets no `max_rounds`, so nothing bounds its loop.",
    why="Every loop is bounded before it runs.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { budget { cost = $0.10 } }
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

UNBOUNDED_RETRY = Rule(
    code="ORC403",
    name="unbounded-retry",
    severity="error",
    summary="A `retry` block does not say how often.",
    why="A retry without a number has no worst case.",
    bad='model m { id = "x"  retry { on = [timeout] } }',
    good='model m { id = "x"  retry { max = 2  on = [timeout] } }',
    allowable=False,
)

NON_CONSTANT_BOUND = Rule(
    code="ORC406",
    name="non-constant-bound",
    severity="error",
    summary=(
        "A setting that must be known before the run is not a constant, a param or a choice of "
        "these."
    ),
    why="The bound is computed before the run starts.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = topic }
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

GATE_DEFAULT_APPROVES = Rule(
    code="ORC606",
    name="gate-default-approves",
    severity="error",
    summary="A human gate would approve if there is no answer.",
    why="No answer is not consent.",
    bad="""\
verifier gate(result: string) via human {
  message = "Send it?"
  timeout = 2h
  on_timeout = approve
}""",
    good="""\
verifier gate(result: string) via human {
  message = "Send it?"
  timeout = 2h
  on_timeout = abort
}""",
    allowable=False,
)
