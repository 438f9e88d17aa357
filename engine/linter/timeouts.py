"""ORC504: calls to the world outside that may hang."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import adding, body_of
from engine.linter.subject import Subject

__all__ = ["call_without_timeout"]


NO_TIMEOUT = Rule(
    code="ORC504",
    name="no-timeout",
    severity="warning",
    summary="A `command`, `http` or `mcp` worker may hang: it has no `timeout`.",
    why="A call that hangs holds its place forever.",
    bad='worker get(q: string) -> json via http { url = "https://a.example/"    }',
    good="""\
worker get(q: string) -> json via http { url = "https://a.example/"  timeout = 5s  }""",
    allowable=True,
)


def call_without_timeout(subject: Subject) -> Iterator[Diagnostic]:
    """ORC504: a worker that waits outside, without a timeout of its own or of its server."""
    for worker in subject.program.workers.values():
        server = subject.program.servers.get(worker.facts.server or "")
        bounded = worker.timeout_ms is not None or (
            server is not None and server.settings.get("timeout") is not None
        )
        if worker.facts.waits_outside and not bounded and subject.here(worker.span):
            yield diagnostic(
                "ORC504",
                f"`{worker.kind}` worker `{worker.name}` has no `timeout`",
                worker.span,
                help="add `timeout = 30s`",
                fix=adding(body_of(subject, worker.name), "timeout = 30s"),
            )
