"""ORC704: results that no worker makes."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.schemes import built_in
from engine.sema.types.definitions import Named, Record, strip
from engine.sema.types.schema_facts import may_fit
from engine.syntax import ast

__all__ = ["nobody_makes_the_result"]


NO_WORKER_PRODUCES_RESULT = Rule(
    code="ORC704",
    name="no-worker-produces-result",
    severity="info",
    summary="No worker makes the result: the orchestrator's model writes it itself.",
    why=(
        "Outputs go from worker to worker by reference. What the orchestrator itself "
        "writes, it copies from previews that are cut at `preview`."
    ),
    bad="""\
orchestrator ask(topic: string) -> Finding {
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
}""",
    allowable=True,
)


def nobody_makes_the_result(subject: Subject) -> Iterator[Diagnostic]:
    """ORC704: a declared record that the orchestrator has to write out itself.

    Its model then copies what it saw of the outputs, previews at that, into the result. Where the
    planner is a function there is no model that copies.
    """
    if not subject.complete:
        return
    program = subject.program
    for orchestrator in subject.orchestrators:
        output = orchestrator.output.type
        if not isinstance(output, Named) or not isinstance(strip(output), Record):
            continue
        if not orchestrator.workers or built_in(program.models[orchestrator.model].id) == "python":
            continue
        makers = (
            program.workers.get(name) or program.orchestrators[name]
            for name in orchestrator.workers
        )
        if any(may_fit(it.output.schema, orchestrator.output.schema) for it in makers):
            continue
        node = subject.declared[orchestrator.name].declaration
        assert isinstance(node, ast.OrchestratorDecl)
        yield diagnostic(
            "ORC704",
            f"no worker of `{orchestrator.name}` gives a `{output}`: its model writes it itself, "
            "from previews",
            node.output.span,
            help=f"a worker that makes the `{output}` can be handed whole outputs by reference",
        )
