"""`via http`: one HTTP request does the work, to a host that is in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic
from engine.sema.expressions.address import chosen_by
from engine.sema.expressions.compiler import Expression
from engine.sema.kinds.common import worker_settings
from engine.sema.kinds.http_calls import check_http, written_hosts
from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.model import Facts
from engine.sema.settings.table import Row
from engine.sema.settings.values import BlockValue, Choice, Computed, Strings

__all__ = ["HTTP"]

_ROWS = (
    Row(
        "method",
        Choice(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")),
        "The HTTP method.",
        default="GET",
    ),
    Row("url", Computed(secrets=True), "The address. Its host must be written in the file.", True),
    Row("hosts", Strings(), "The hosts it may reach, if the host of `url` is computed."),
    Row("query", Computed(secrets=True, shape="map"), "The query parameters of the address."),
    Row("headers", Computed(secrets=True, shape="map"), "Additional HTTP headers."),
    Row("json", Computed(secrets=True), "The body, sent as JSON."),
    Row("form", Computed(secrets=True, shape="map"), "The body, sent as a form."),
    Row(
        "result",
        Computed("response"),
        "The output, from `response` (the body), `status` and `headers`.",
        otherwise="response",
    ),
    Row("on_status", BlockValue("on_status"), "Maps HTTP statuses to failure modes."),
)


def _check(it: Declared) -> Iterator[Diagnostic]:
    yield from check_http(it.settings, it.at, it.owner)


def _derived(it: Declared) -> Mapping[str, Any]:
    return {"hosts": written_hosts(it.settings, it.values)}


def _facts(settings: Mapping[str, Any]) -> Facts:
    hosts = settings.get("hosts", ())
    url = settings.get("url")
    # Where one host is in the file there is nothing to choose.
    chosen = chosen_by(url.expr) if isinstance(url, Expression) and len(hosts) > 1 else ()
    return Facts(
        waits_outside=True,
        sends_out=True,
        talks_to=" ".join(sorted(hosts)),
        address=tuple(sorted(chosen)),
    )


HTTP = WorkerKind(
    name="http",
    summary="run by an HTTP request",
    worker=(*_ROWS, *worker_settings(trust="untrusted")),
    check=_check,
    derived=_derived,
    facts=_facts,
    port="engine.workers.http:open_port",
    calls="url",
)
