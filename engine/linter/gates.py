"""ORC601, ORC602, ORC604, ORC605: unchecked results, and checks that check little."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Fix, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import adding, block_of, body_of
from engine.linter.subject import Subject
from engine.sema.model import Orchestrator
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import Record
from engine.sema.types.json_schema import may_fit

__all__ = [
    "constant_pass",
    "gate_without_timeout",
    "judge_of_its_own_work",
    "nothing_checks_the_result",
]


NO_FINISH_VERIFIER = Rule(
    code="ORC601",
    name="no-finish-verifier",
    severity="warning",
    summary="Nothing checks the result of an orchestrator before it finishes.",
    why="The planner would be the only judge of its own work.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = sound } }
}""",
    allowable=True,
)


def nothing_checks_the_result(subject: Subject) -> Iterator[Diagnostic]:
    """ORC601: an orchestrator without a `before_finish` verifier."""
    for orchestrator in subject.orchestrators:
        checked = any(hook.point == "before_finish" for hook in orchestrator.hooks)
        if not checked and orchestrator.name not in subject.children:
            yield diagnostic(
                "ORC601",
                f"nothing checks the result of `{orchestrator.name}` before it finishes",
                orchestrator.span,
                help="add `verify { before_finish { with = ... } }`",
                fix=_checking(subject, orchestrator),
            )


def _checking(subject: Subject, orchestrator: Orchestrator) -> Fix | None:
    """Name the one verifier that nothing names yet, if it takes what is there to be checked."""
    program = subject.program
    named = {
        name
        for each in program.orchestrators.values()
        for hook in each.hooks
        for name in hook.every_verifier
    }
    idle = [v for v in program.verifiers.values() if v.name not in named and subject.here(v.span)]
    if len(idle) != 1:
        return None
    taken, given = idle[0].inputs.type, orchestrator.inputs.type
    if not isinstance(taken, Record) or not isinstance(given, Record):
        return None
    inputs = {field.name for field in given.fields}
    for field in taken.fields:
        fits = field.name == "result" and may_fit(
            orchestrator.output.schema, Contract(field.type).schema
        )
        if not fits and field.name not in inputs:
            return None
    with_it = f"with = {idle[0].name}  on_fail = revise  max_revisions = 1  then = abort"
    hook = f"before_finish {{ {with_it} }}"
    body = body_of(subject, orchestrator.name)
    verify = block_of(body, "verify")
    return adding(body, f"verify {{ {hook} }}") if verify is None else adding(verify, hook)


GATE_WITHOUT_TIMEOUT = Rule(
    code="ORC605",
    name="gate-without-timeout",
    severity="warning",
    summary="A human gate waits forever if there is no answer.",
    why="A run would wait for a person who never comes.",
    bad='verifier gate(result: string) via human { message = "Send it?"   }',
    good='verifier gate(result: string) via human { message = "Send it?"  timeout = 2h }',
    allowable=True,
)


def gate_without_timeout(subject: Subject) -> Iterator[Diagnostic]:
    """ORC605: a human verifier without a timeout."""
    for verifier in subject.program.verifiers.values():
        if (
            verifier.facts.done_by == "person"
            and verifier.timeout_ms is None
            and subject.here(verifier.span)
        ):
            yield diagnostic(
                "ORC605",
                f"the gate `{verifier.name}` waits forever if there is no answer",
                verifier.span,
                help="add `timeout = 24h` and `on_timeout = abort`",
                fix=adding(body_of(subject, verifier.name), "timeout = 24h"),
            )


VERIFIER_SAME_MODEL = Rule(
    code="ORC602",
    name="verifier-same-model",
    severity="warning",
    summary="A model verifies the work of the same model.",
    why="A model tends to miss its own mistakes.",
    bad="""\
verifier fair(result: string) via llm { model = fast  prompt = "{{ result }}" }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = fair } }
}""",
    good="""\
verifier fair(result: string) via llm { model = judge  prompt = "{{ result }}" }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = fair } }
}""",
    allowable=True,
)


def judge_of_its_own_work(subject: Subject) -> Iterator[Diagnostic]:
    """ORC602: an `llm` verifier with the model whose work it judges."""
    program = subject.program
    for orchestrator in subject.orchestrators:
        for hook in orchestrator.hooks:
            maker: str | None = orchestrator.model
            if hook.point == "after_dispatch" and hook.worker is not None:
                worker = program.workers.get(hook.worker)
                maker = None if worker is None else worker.facts.model
            for name in hook.every_verifier:
                verifier = program.verifiers.get(name)
                if verifier is None or verifier.facts.model is None or not maker:
                    continue
                if verifier.facts.model == maker:
                    yield diagnostic(
                        "ORC602",
                        f"`{name}` judges with the model that made what it judges (`{maker}`)",
                        verifier.span if subject.here(verifier.span) else hook.span,
                        help="give it another model, so that it does not share the blind spots",
                    )


VERIFIER_ALWAYS_TRUE = Rule(
    code="ORC604",
    name="verifier-always-true",
    severity="warning",
    summary="A `pass_when` or an `assert` reads no values, so its result is always the same.",
    why="The verifier would always pass, or never.",
    bad="""\
verifier fair(result: string) via llm {
  model = judge
  prompt = "{{ result }}"
  pass_when = true
}""",
    good="""\
verifier fair(result: string) via llm {
  model = judge
  prompt = "{{ result }}"
  pass_when = score > 0.8
}""",
    allowable=True,
)


def constant_pass(subject: Subject) -> Iterator[Diagnostic]:
    """ORC604: a `pass_when`, or an `assert` of a `rules` verifier, that reads nothing."""
    for verifier in subject.program.verifiers.values():
        test = verifier.pass_when
        if test is not None and not test.names and subject.here(verifier.span):
            yield diagnostic(
                "ORC604",
                f"`pass_when = {test.text}` does not depend on the verdict",
                test.span,
                help="use `ok`, `score` or `feedback`, or remove it",
            )
        for assertion in verifier.assertions:
            if not assertion.test.names and subject.here(verifier.span):
                yield diagnostic(
                    "ORC604",
                    f"`assert {assertion.test.text}` does not depend on what is checked",
                    assertion.test.span,
                    help="say something of an input, or remove it",
                )
