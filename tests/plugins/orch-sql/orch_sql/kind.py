"""The record of `via sql`: its settings, its checks, and what the engine has to know of it.

Imported whenever a file that uses the kind is checked, so no database client is imported here.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from orch.kinds import (
    Computed,
    Declared,
    Diagnostic,
    Facts,
    Int,
    Row,
    Str,
    WorkerKind,
    diagnostic,
    worker_settings,
)

__all__ = ["PARAMETER", "SQL"]

#: A named parameter, `:city`; not a cast, `::int`.
PARAMETER = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")
_STRING = re.compile(r"'[^']*'")


def check(it: Declared) -> Iterator[Diagnostic]:
    """The effect is harmless, the query is one `SELECT`, and its parameters are inputs."""
    effect = it.settings.get("effect")
    if effect not in ("pure", "read"):
        yield diagnostic(
            "ORC202",
            f"{it.owner} only reads, so its effect cannot be `{effect}`",
            it.settings.spans["effect"],
            help="remove it, or write `effect = read`",
        )
    query = it.settings.get("query")
    if query is None:
        return
    span = it.settings.spans["query"]
    if not re.match(r"\s*(?:select|with)\b", query, re.IGNORECASE):
        yield diagnostic("ORC202", "`query` must be a `SELECT`", span)
    names = [field.name for field in it.inputs]
    for name in PARAMETER.findall(_STRING.sub("", query)):
        if name not in names:
            near = get_close_matches(name, names, 1)
            yield diagnostic(
                "ORC101",
                f"`query` uses `:{name}`, which is not an input of {it.owner}",
                span,
                help=f"did you mean `:{near[0]}`?" if near else f"its inputs are {names}",
            )


def facts(settings: Mapping[str, Any]) -> Facts:
    """A file on this machine, or a server that has to answer."""
    database = settings.get("database")
    text = "" if database is None else database.text.strip('"')
    if "://" not in text and not text.startswith("secret."):
        return Facts()
    return Facts(waits_outside=True, sends_out=True, talks_to=urlsplit(text).hostname or text)


SQL = WorkerKind(
    name="sql",
    summary="run as a query to a database, which can only read",
    worker=(
        Row(
            "database",
            Computed("none", secrets=True),
            "A file of SQLite, relative to the `.orch` file, or a URL of PostgreSQL.",
            required=True,
        ),
        Row("query", Str(), "One `SELECT`; inputs are written `:name`.", required=True),
        Row("max_rows", Int(maximum=100_000), "The most rows that are read.", default=1_000),
        *worker_settings(effect="read", trust="untrusted"),
    ),
    check=check,
    facts=facts,
    port="orch_sql.port:open_port",
)
