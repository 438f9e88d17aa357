"""Templates parsed with exact positions: every Jinja2 node's `lineno` is a character offset.

Jinja2 keeps line numbers only. Its lexer's raw tokens, put end to end, are the source (but for
white space that `{%-` strips), so the offset of each token is counted here and handed to Jinja2's
own parser instead of the line. `Located` turns offsets into spans, in a template file or
inside a string of a `.orch` file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from engine.sema.expressions.environment import OrchEnvironment
from engine.source import SourceFile, Span
from engine.syntax import ast

__all__ = ["Located", "TemplateFault", "parse_anew", "parse_template"]

_NAME = re.compile(r"[^\W\d]\w*")
_WORDS = {
    "'end of template'": "the end of the template",
    "unexpected end of template": "the template ends too early",
    "'end of print statement'": "`}}`",
    "'end of statement block'": "`%}`",
    "missing end of comment tag": "this comment is never closed with `#}`",
    "missing end of raw directive": "this `{% raw %}` is never closed with `{% endraw %}`",
}
_UNCLOSED = re.compile(r"innermost block that needs to be closed is '(\w+)'")


class TemplateFault(Exception):
    """A template that does not parse: what is wrong, and from where to where (offsets)."""

    def __init__(self, message: str, start: int, end: int, help: str | None = None) -> None:
        self.message = message
        self.start = start
        self.end = end
        self.help = help
        super().__init__(message)


class _Environment(OrchEnvironment):
    """Tokenizes with offsets; used for parsing only."""

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        raw = self.lexer.tokeniter(source, name, filename, state)
        return TokenStream(self.lexer.wrap(_with_offsets(raw, source)), name, filename)


def _with_offsets(
    raw: Iterable[tuple[int, str, str]], source: str
) -> Iterator[tuple[int, str, str]]:
    at = begin = 0
    try:
        for _, token, value in raw:
            while value and not source.startswith(value, at):
                at += 1  # white space that was stripped
                if at > len(source):
                    raise AssertionError("a token is not in its source")
            yield at, token, value
            begin = at
            at += len(value)
    except jinja2.TemplateSyntaxError as error:
        while at < len(source) and source[at].isspace():
            at += 1
        unclosed = (error.message or "").startswith("Missing end")
        error.lineno = begin if unclosed else at
        raise


class _Parser(Parser):
    """Remembers where the blocks that are still open begin."""

    def __init__(self, environment: OrchEnvironment, source: str) -> None:
        super().__init__(environment, source)
        self.open: list[int] = []

    def parse_statement(self) -> nodes.Node | list[nodes.Node]:
        self.open.append(self.stream.current.lineno)
        result = super().parse_statement()
        self.open.pop()
        return result


_environment: list[_Environment] = []


def parse_template(text: str) -> nodes.Template:
    """The template's nodes, each `lineno` an offset into `text`; not to be changed.

    A check reads each text a few times, and an editor checks the same texts again and again: the
    nodes of recent ones are kept, by their text.

    Raises:
        TemplateFault: If it is not a template.
    """
    return _parse_kept(text) if len(text) <= _MAX_KEPT else parse_anew(text)


#: Longer templates are rare and would fill the memory.
_MAX_KEPT = 50_000


@lru_cache(maxsize=1024)
def _parse_kept(text: str) -> nodes.Template:
    return parse_anew(text)


def parse_anew(text: str) -> nodes.Template:
    """As `parse_template`, with nodes that are the caller's own and may be changed."""
    if not _environment:
        _environment.append(_Environment())
    normalized = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    parser: _Parser | None = None
    try:
        parser = _Parser(_environment[0], normalized)
        tree = parser.parse()
    except jinja2.TemplateSyntaxError as error:
        raise _fault(error, parser, normalized) from None
    except RecursionError:
        raise TemplateFault("the template is nested too deeply", 0, min(1, len(text))) from None
    except ValueError:  # Python converts no number of more than 4300 digits
        raise TemplateFault("a number has too many digits", 0, min(1, len(text))) from None
    if "\r" in text:
        _restore_offsets(tree, text)
    return tree


def _fault(error: jinja2.TemplateSyntaxError, parser: _Parser | None, text: str) -> TemplateFault:
    message = (error.message or "this is not a template").rstrip(".")
    start = min(error.lineno, len(text))
    unclosed = _UNCLOSED.search(message)
    if unclosed and message.startswith("Unexpected end") and parser is not None and parser.open:
        tag = unclosed[1]
        start = parser.open[-1]
        end_tag = f"end{tag}"
        return TemplateFault(
            f"`{{% {tag} %}}` is never closed",
            start,
            start + len(tag),
            f"close it with `{{% {end_tag} %}}`",
        )
    help_text = None
    unknown = re.match(r"Encountered unknown tag '(\w+)'", message)
    if unknown:
        looking = re.search(r"looking for (?:the following tags: )?(.+?)(?:\. The|$)", message)
        message = f"unexpected tag `{unknown[1]}`"
        if looking:
            help_text = f"expected {looking[1]}"
    message = message[:1].lower() + message[1:]
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    message = re.sub(r"^unexpected char (.+) at \d+$", r"unexpected \1", message)
    if text[start : start + 1] in ("'", '"') and message.startswith("unexpected"):
        message = "this string is never closed"
    name = _NAME.match(text, start)
    return TemplateFault(
        message, start, name.end() if name else min(start + 1, len(text)), help_text
    )


def _restore_offsets(tree: nodes.Template, text: str) -> None:
    """Offsets into the text as it was, where `\\r\\n` counted as one character."""
    places: list[int] = []
    at = 0
    while at < len(text):
        places.append(at)
        at += 2 if text.startswith("\r\n", at) else 1
    places.append(len(text))
    for node in [tree, *tree.find_all(nodes.Node)]:
        if node.lineno is not None:
            node.lineno = places[min(node.lineno, len(places) - 1)]


class Located:
    """A template's text, and where it is.

    Args:
        text: The template.
        span: The span of a range of offsets in `text`.
        name: The template's own name, for includes that go in a circle.
    """

    def __init__(self, text: str, span: Callable[[int, int], Span], name: str | None) -> None:
        self.text = text
        self.span = span
        self.name = name

    @classmethod
    def in_string(cls, string: ast.String) -> Located:
        """A template written as a string of a `.orch` file."""
        return cls(string.value, string.sub_span, None)

    @classmethod
    def in_file(cls, source: SourceFile, name: str | None = None) -> Located:
        """A template in a file of its own."""
        return cls(source.text, lambda a, b: Span(source, a, b), name)

    def name_of(self, node: Any) -> Span:
        """Where the name a node is about is: of an attribute, filter or test the name alone."""
        known: Span | None = node.__dict__.get("orch_span")
        if known is not None:
            return known
        start: int = node.lineno if node.lineno is not None else 0
        if isinstance(node, nodes.Getattr):
            start = self._skip(start + 1)
            return self.span(start, start + len(node.attr))
        if isinstance(node, nodes.Test):
            match = re.compile(r"is\s+(?:not\s+)?").match(self.text, start)
            start = match.end() if match else start
            return self.span(start, start + len(node.name))
        if isinstance(node, nodes.Name | nodes.Filter):
            return self.span(start, start + len(node.name))
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            return self.span(start, start + len(node.value) + 2)
        return self.span(start, start + 1)

    def whole(self, node: Any) -> Span | None:
        """From the first to the last character of a name or a chain of attributes; else None."""
        if "orch_span" in node.__dict__:
            return None
        if isinstance(node, nodes.Name):
            return self.name_of(node)
        if isinstance(node, nodes.Getattr):
            before = self.whole(node.node)
            return None if before is None else before.to(self.name_of(node))
        return None

    def _skip(self, at: int) -> int:
        while at < len(self.text) and self.text[at].isspace():
            at += 1
        return at
