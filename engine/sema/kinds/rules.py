"""`via rules`: a verifier that judges by assertions. The machine does it; nothing is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.sema.kinds.common import VERIFIER
from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.model import Facts

__all__ = ["RULES"]


def _check(it: Declared) -> Iterator[Diagnostic]:
    if not it.settings.assertions and it.is_whole:
        yield diagnostic(
            "ORC104",
            f"{it.owner} needs at least one `assert`",
            it.at,
            help='write `assert EXPRESSION else "what is wrong"`',
        )


def _facts(_: Mapping[str, Any]) -> Facts:
    return Facts(done_by="machine")


RULES = WorkerKind(
    name="rules",
    summary="checks its assertions; needs no model",
    verifier=VERIFIER,
    assertions=True,
    check=_check,
    facts=_facts,
)
