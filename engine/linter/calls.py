"""ORC504: calls to the world outside that may hang."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.linter.subject import Subject
from engine.linter.written import adding, body_of

__all__ = ["call_without_timeout"]

#: Kinds that wait for something this process does not control.
_OUTSIDE = ("command", "http", "mcp")


def call_without_timeout(subject: Subject) -> Iterator[Diagnostic]:
    """ORC504: a `command`, `http` or `mcp` worker without a timeout, its server's included."""
    for worker in subject.program.workers.values():
        server = subject.program.servers.get(str(worker.settings.get("server")))
        bounded = worker.timeout_ms is not None or (
            server is not None and server.settings.get("timeout") is not None
        )
        if worker.kind in _OUTSIDE and not bounded and subject.here(worker.span):
            yield diagnostic(
                "ORC504",
                f"`{worker.kind}` worker `{worker.name}` has no `timeout`",
                worker.span,
                help="add `timeout = 30s`",
                fix=adding(body_of(subject, worker.name), "timeout = 30s"),
            )
