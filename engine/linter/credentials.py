"""ORC804: keys and passwords written into a file.

Two signs: the shape of a known provider's keys, anywhere in a file of the program or in a text it
reads, and a random-looking string under a name such as `api_key`. A hash, a UUID or an example is
neither: shapes begin with a provider's mark, and what repeats itself, counts up or says that it is
an example is left alone. Messages show the first characters of a key only.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.sema.names.loader import Module
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["hardcoded_credential"]

#: What a key begins with, whose it is, and what it looks like. From the providers' own pages.
_SHAPES = (
    ("sk-ant-", "an Anthropic key", r"sk-ant-[\w-]{24,}"),
    ("sk-or-", "an OpenRouter key", r"sk-or-v1-[0-9a-f]{48,}"),
    (
        "sk-",
        "an OpenAI key",
        r"sk-(?:(?:proj|svcacct|admin)-[\w-]{24,}|[A-Za-z0-9]{40,64})(?![\w-])",
    ),
    ("AIza", "a Google key", r"AIza[\w-]{35}(?![\w-])"),
    ("AKIA", "an AWS key", r"AKIA[0-9A-Z]{16}(?![0-9A-Z])"),
    ("ASIA", "an AWS key", r"ASIA[0-9A-Z]{16}(?![0-9A-Z])"),
    ("gh", "a GitHub key", r"gh[pousr]_[A-Za-z0-9]{36,}"),
    ("github_pat_", "a GitHub key", r"github_pat_\w{60,}"),
    ("glpat-", "a GitLab key", r"glpat-[\w-]{20,}"),
    ("xox", "a Slack key", r"xox[abeprs]-[0-9A-Za-z-]{20,}"),
    ("_live_", "a Stripe key", r"[rs]k_live_[0-9A-Za-z]{20,}"),
    ("hf_", "a Hugging Face key", r"hf_[A-Za-z0-9]{34,}"),
    ("gsk_", "a Groq key", r"gsk_[A-Za-z0-9]{40,}"),
    ("xai-", "an xAI key", r"xai-[A-Za-z0-9]{60,}"),
    ("pplx-", "a Perplexity key", r"pplx-[A-Za-z0-9]{40,}"),
    ("SG.", "a SendGrid key", r"SG\.[\w-]{20,}\.[\w-]{40,}"),
    ("npm_", "a npm key", r"npm_[A-Za-z0-9]{36}"),
    ("pypi-", "a PyPI key", r"pypi-[\w-]{80,}"),
    ("eyJ", "a signed token", r"eyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}"),
    ("PRIVATE KEY-", "a private key", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
)
# The patterns are texts, compiled when they are first used: all of them would cost every run 2 ms,
# and a file without anything that looks like a key needs one.
_URL = r"[a-z][a-z0-9+.-]*://[^\s/:@\"'{}$<>]+:([^\s/:@\"'{}$<>]{6,})@[\w.-]+"
#: Names under which a constant is a secret.
_NAMED = (
    r"(?i)(?:^|[_-])(?:api[_-]?key|apikey|access[_-]?key|auth(?:orization)?|token|secret"
    r"|password|passwd|private[_-]?key)$"
)
#: A long value without spaces, and the name before it: only what has one is walked.
_CONSTANT = r'[:=]\s*"(?:\w+ )?[^"\s]{16,200}"'
_NAME = r"([\w-]+)\"?(?:\s*:\s*[^={}\n]*)?\s*$"
_SCHEME = r"(?i)^(?:bearer|basic|token|apikey|api-key)\s+"
_UUID = r"(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_EXAMPLE = (
    r"(?i)example|sample|dummy|fake|placeholder|redacted|changeme|your|xxx|\.\.\.|test|abcdef|"
    r"123456|password|secret"
)
#: Bits a character: English and identifiers stay below, random letters and digits above.
_RANDOM = 3.3


HARDCODED_CREDENTIAL = Rule(
    code="ORC804",
    name="hardcoded-credential",
    severity="error",
    summary="A key or password is in a file.",
    why="A key in a file is in every copy of it, and permanently in its history.",
    bad="""\
server kb via mcp { url = "https://kb.acme.dev/mcp"
  headers = { "X-Api-Key": "q7Rv2ZkP9sWm4TnX8bLd" } }""",
    good="""\
server kb via mcp { url = "https://kb.acme.dev/mcp"
  headers = { "X-Api-Key": secret.KEY } }""",
    allowable=True,
)


def hardcoded_credential(subject: Subject) -> Iterator[Diagnostic]:
    """ORC804: each key in the files of the program and the templates and data next to them."""
    seen: set[tuple[str, int]] = set()
    for source in _sources(subject):
        for span, whose in _shaped(source):
            seen.add((source.path, span.start))
            yield _finding(span, f"this looks like {whose}")
    for module in subject.result.modules:
        yield from _under_names(module, seen)


def _under_names(module: Module, seen: set[tuple[str, int]]) -> Iterator[Diagnostic]:
    """The random texts under a name such as `api_key` whose shape has not told already."""
    at = list(_suspects(module.source.text))
    for declaration in module.document.declarations if at else ():
        if not any(declaration.span.start <= start < declaration.span.end for start in at):
            continue
        for name, value in _named(declaration):
            inner = re.match(_SCHEME, value.value)
            start = inner.end() if inner else 0
            known = any(
                path == module.source.path and value.span.start <= at < value.span.end
                for path, at in seen
            )
            if not known and _is_secret(value.value[start:]):
                yield _finding(
                    value.sub_span(start, len(value.value)), f"`{name}` holds a credential"
                )


def _finding(span: Span, what: str) -> Diagnostic:
    return diagnostic(
        "ORC804",
        f"{what} (`{span.text[:4]}...`)",
        span,
        help="declare `secret NAME`, write `secret.NAME` here, and replace the key: it has been "
        "in a file",
    )


def _sources(subject: Subject) -> Iterator[SourceFile]:
    """The files of the program and what they read."""
    entry = subject.result.scopes.entry.module.source
    for module in subject.result.modules:
        yield module.source
    for name, text in subject.program.files.items():
        if not name.endswith(".orch"):
            yield SourceFile(
                os.path.normpath(os.path.join(os.path.dirname(entry.path), name)), text
            )


def _shaped(source: SourceFile) -> Iterator[tuple[Span, str]]:
    text = source.text
    taken: set[int] = set()
    for mark, whose, shape in _SHAPES:
        if mark not in text:
            continue
        for found in re.finditer(rf"(?<![\w-]){shape}", text):
            if found.start() in taken or _is_example(found[0]):
                continue
            taken.add(found.start())
            yield Span(source, *found.span()), whose
    if "@" in text and "://" in text:
        for found in re.finditer(_URL, text):
            if not re.search(_EXAMPLE, found[1]) and "example" not in found[0]:
                yield Span(source, *found.span(1)), "a password in an address"


def _is_example(key: str) -> bool:
    """Whether a text of a key's shape was plainly made up."""
    if "PRIVATE KEY" in key:
        return False
    body = re.sub(r"(?i)^[a-z]+[-_](?:[a-z]+\d*[-_])?", "", key)
    return re.search(_EXAMPLE, body) is not None or _bits(body) < _RANDOM - 0.3


def _suspects(text: str) -> Iterator[int]:
    """Where a long constant follows a name such as `api_key`; cheap, and not exact."""
    for found in re.finditer(_CONSTANT, text):
        line = text.rfind("\n", 0, found.start()) + 1
        name = re.search(_NAME, text[line : found.start()])
        if name is not None and re.search(_NAMED, name[1]):
            yield found.start()


def _named(declaration: ast.Declaration) -> Iterator[tuple[str, ast.String]]:
    """Strings that are the value of a setting, a key of a map or a default called like a secret."""
    for node in walk(declaration):
        found: tuple[ast.Name, ast.Expr | None] | None = None
        if isinstance(node, ast.Setting):
            found = node.name, node.value
        elif isinstance(node, ast.MapEntry):
            found = node.key, node.value
        elif isinstance(node, ast.ParamDecl):
            found = node.name, node.default
        if (
            found is not None
            and isinstance(found[1], ast.String)
            and re.search(_NAMED, found[0].text)
        ):
            yield found[0].text, found[1]


def _is_secret(value: str) -> bool:
    """Whether a string is random enough to open something."""
    if not 16 <= len(value) <= 200 or re.search(r"\s", value) or re.match(_UUID, value):
        return False
    mixed = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
    return bool(mixed) and not re.search(_EXAMPLE, value) and _bits(value) >= _RANDOM


def _bits(text: str) -> float:
    """Shannon's entropy of the characters of a text, in bits a character."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts) if text else 0.0
