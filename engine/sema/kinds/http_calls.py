"""Rules of `http` workers: the body, the effect, and which hosts they may reach.

Only hosts that are in the file are ever reached. They are read here from what begins a `url`
(a literal, or a param with its folded value) and from `hosts`, and kept with the worker; the
engine compares every address with them before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.sema.expressions.compiler import Expression
from engine.sema.expressions.environment import EvaluationError
from engine.sema.settings.bodies import Settings
from engine.source import Span
from engine.syntax import ast

__all__ = ["check_http", "written_hosts"]

#: A name, an IPv4 address or an IPv6 one in brackets, and a port.
_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^\s/:@?#\[\]\\*]+)(?::[0-9]{1,5})?")
_SAFE_METHODS = ("GET", "HEAD")


def check_http(settings: Settings, name: Span, owner: str) -> Iterator[Diagnostic]:
    """What is wrong with the settings of an `http` worker.

    Args:
        name: Where its name is.
        owner: What messages call it.
    """
    method = settings.get("method")
    if method not in _SAFE_METHODS and "effect" not in settings.written:
        yield diagnostic(
            "ORC104",
            f"{owner} needs `effect`, for {method} may change something",
            name,
            help="write `effect = read`, `write` (repeatable under the same key) or `once`",
        )
    if "json" in settings.exprs and "form" in settings.exprs:
        yield diagnostic(
            "ORC202",
            "a request has one body: `json` or `form`, not both",
            settings.spans["form"],
        )
    for host in settings.get("hosts") or ():
        if not _HOST.fullmatch(host):
            yield diagnostic(
                "ORC202",
                f'"{host}" is not a valid host',
                settings.spans["hosts"],
                help='write `"api.example.com"`, with `:port` where it is not the usual one',
            )
    url = settings.exprs.get("url")
    if url is not None and "hosts" not in settings.written and _beginnings(url) is None:
        yield diagnostic(
            "ORC202",
            "`url` must begin with a host that is in the file",
            url.span,
            help='write `"https://host/path"`, and add what varies with `~`; '
            'or list the hosts: `hosts = ["host"]`',
        )


def written_hosts(settings: Settings, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The hosts a worker may reach, as `host` or `host:port`, each once.

    Args:
        values: The values every expression of the file sees: `param`.
    """
    found = list(settings.get("hosts") or ())
    url = settings.exprs.get("url")
    for begin in (_beginnings(url) or ()) if url is not None else ():
        try:
            text = Expression(begin, values).evaluate({})
        except EvaluationError:  # a param without a value; nothing runs without it
            continue
        host = _host(text) if isinstance(text, str) else None
        if host is not None:
            found.append(host)
    return tuple(dict.fromkeys(found))


def _beginnings(url: ast.Expr) -> list[ast.Expr] | None:
    """What a URL may begin with, where its host can be read there; None if it cannot."""
    first: ast.Expr = url
    while isinstance(first, ast.Binary) and first.operator == "~":
        first = first.left
    match first:
        case ast.Attribute(object=ast.Variable(name="param")):
            return [first]
        case ast.Conditional():
            then, otherwise = _beginnings(first.then), _beginnings(first.otherwise)
            return None if then is None or otherwise is None else [*then, *otherwise]
        case ast.String(value=text):
            # Where something follows, the host must have ended before it.
            return [first] if _host(text, ended=first is not url) else None
    return None


def _host(text: str, *, ended: bool = False) -> str | None:
    """`host` or `host:port` of the beginning of an address, or None."""
    scheme, separator, rest = text.partition("://")
    if scheme.lower() not in ("http", "https") or not separator:
        return None
    host = rest
    for mark in "/?#":
        host = host.partition(mark)[0]
    if ended and host == rest:
        return None
    return host.rpartition("@")[2] or None
