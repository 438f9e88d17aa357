"""`via llm`: a model does the work, from a prompt. The machine makes the request itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.errors import MODEL_MODES
from engine.sema.kinds.common import CHECKED, REPAIR, worker_settings
from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.model import Facts
from engine.sema.settings.table import Row
from engine.sema.settings.values import Names, Text
from engine.syntax import ast

__all__ = ["LLM"]

_ROWS = (
    Row("model", Names(("model",), "one"), "The model that does the work.", required=True),
    Row("system", Text(), "The system prompt."),
    Row("prompt", Text(), "The prompt.", required=True),
    REPAIR,
)


UNUSED_INPUT = Rule(
    code="ORC307",
    name="unused-input",
    severity="warning",
    summary="An input of an `llm` worker never reaches its prompt.",
    why="The orchestrator fills the input, and the model never sees it.",
    bad="""\
worker tell(q: string, audience: string) -> string via llm { model = fast  prompt = "{{ q }}" }""",
    good="""\
worker tell(q: string, audience: string) -> string via llm {
  model = fast
  prompt = "{{ q }} for {{ audience }}"
}""",
    allowable=True,
)


def _check(it: Declared) -> Iterator[Diagnostic]:
    """ORC307: an input that no prompt uses."""
    if isinstance(it.node, ast.VerifierDecl) or "prompt" not in it.settings.exprs:
        return
    for param in it.node.params if it.is_certain else ():
        name = param.name.text
        if name not in it.read:
            yield diagnostic(
                "ORC307",
                f"input `{name}` is never used in the prompt",
                param.name.span,
                help=f"write `{{{{ {name} }}}}` in the prompt, or remove it",
            )


def _facts(settings: Mapping[str, Any]) -> Facts:
    return Facts(done_by="model", model=settings.get("model"))


LLM = WorkerKind(
    name="llm",
    summary="run by a model, from a prompt",
    worker=(*_ROWS, *worker_settings()),
    verifier=(*_ROWS, *CHECKED),
    modes=MODEL_MODES,
    check=_check,
    facts=_facts,
)
