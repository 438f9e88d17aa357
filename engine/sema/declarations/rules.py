"""The rules of declarations that no single setting breaks.

Errors of the language are raised in several files of this folder, by their code; what they mean is
written once, here (see `engine.diagnostics.rule`).
"""

from __future__ import annotations

from engine.diagnostics.rule import Rule

UNBOUNDED_REVISION = Rule(
    code="ORC402",
    name="unbounded-revision",
    severity="error",
    summary="`on_fail = revise` without `max_revisions` could revise forever.",
    why="A verifier that never passes would keep the loop going.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = sound  on_fail = revise } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = sound  on_fail = revise  max_revisions = 1 } }
}""",
    allowable=False,
)

RETRY_NOT_IDEMPOTENT = Rule(
    code="ORC503",
    name="retry-not-idempotent",
    severity="error",
    summary="A `once` or `write` worker could run twice without a common key.",
    why="A repeated payment is a second payment.",
    bad="""\
worker get(q: string) -> json via http {
  url = "https://a.example/"
  timeout = 5s method = "POST"
  effect = write
  retry { max = 2 }
}""",
    good="""\
worker get(q: string) -> json via http {
  url = "https://a.example/"
  timeout = 5s method = "POST"
  effect = write
  headers = { Key: task.key }
  retry { max = 2 }
}""",
    allowable=True,
)

SECRET_IN_PROMPT = Rule(
    code="ORC803",
    name="secret-in-prompt",
    severity="error",
    summary="A secret is used where a model, a person or a log could read it.",
    why="A prompt goes to a provider, into the journal and the logs.",
    bad="""\
worker tell(q: string) -> string via llm { model = fast  prompt = "{{ q }} {{ secret.KEY }}" }""",
    good="""\
worker get(q: string) -> json via http {
  url = "https://a.example/"
  timeout = 5s headers = { Key: secret.KEY }
}""",
    allowable=False,
)

MOCK_TYPE_MISMATCH = Rule(
    code="ORC903",
    name="mock-type-mismatch",
    severity="error",
    summary="What a mock returns does not fit the contract of what it replaces.",
    why="A test that feeds impossible values proves nothing.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}
test "one" for ask { input = { topic: "tea" }  mock search { returns = 3 } }""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}
test "one" for ask { input = { topic: "tea" }  mock search { returns = "found" } }""",
    allowable=False,
)
