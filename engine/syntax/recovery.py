"""Reading a file that has syntax errors: one report a fault, and nearly every declaration kept.

The text is split where a line looks like the beginning of a declaration; layout is a hint here
and nowhere else. Each part is parsed alone. Where one fails, the repairs of
`engine.syntax.repairs` are tried on it and the one after which the parser gets furthest is kept.
All repairs keep every character in its place (a removed one becomes a blank), so positions stay
those of the file. What no repair saves is kept as a declaration with an empty body, if its head
can be read, so that its name is not unknown elsewhere.

Work is bounded: at most two reports a declaration, five repairs, and a budget of characters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.builder import Builder
from engine.syntax.problem import Problem, Repair, tokenize
from engine.syntax.repairs import repairs
from engine.syntax.reuse import ParseCache
from grammar import Tree, parse_error

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

__all__ = ["declaration_starts", "recover"]

_MAX_REPORTS = 2
_MAX_REPAIRS = 5
_MAX_ALL_REPORTS = 50
_MAX_JOINED = 8
#: Characters that may be parsed for repairs; about three seconds.
_BUDGET = 1_500_000

_NAME = r"[^\W\d]\w*"
_STRONG = re.compile(
    rf"""(?:worker|verifier|orchestrator|model|server|schema|template|param|secret)
         (?:[ \t]+{_NAME})?[ \t]*(?=[({{=:<\[\r\n]|//|->|via\b|from\b|\Z)
       | (?:import|from|test)[ \t]*(?="|[\r\n]|\Z)
       | orch[ \t]+\d""",
    re.VERBOSE,
)
_WEAK = re.compile(
    rf'{_NAME}[ \t]+(?:{_NAME}|"[^"\n]*")[ \t]*(?:[({{=:]|->|via\b|for\b|from\b|import\b)'
)
_NAMED = re.compile(rf"({_NAME})[ \t]+({_NAME})")
_SCAN = re.compile(
    r'(?P<text>"""(?:[^"]|"(?!""))*(?:"""|\Z))|"(?:[^"\\\n]|\\.)*"?|//[^\n]*'
    r"|(?P<hash>\#[^\n]*)|(?P<open>[({\[])|(?P<close>[)}\]])|(?P<word>^[^\W\d]\w*)",
    re.MULTILINE,
)
#: Texts and comments, to be passed over, and the keywords at the beginning of a line.
_OUTLINE = re.compile(
    r'"""(?:[^"]|"(?!""))*(?:"""|\Z)|"(?:[^"\\\n]|\\.)*"?|//[^\n]*'
    r"|(?P<word>^(?:orch|import|from|param|secret|schema|model|server|template|worker|verifier"
    r"|orchestrator|test)\b)",
    re.MULTILINE,
)
_LINE_START_WORD = re.compile(r"^[^\W\d]\w*", re.MULTILINE)
_BLANKS_AND_COMMENTS = re.compile(r"(?:[\s\ufeff]+|//[^\n]*)*")
_KEYWORDS = frozenset(
    {
        "orch",
        "import",
        "from",
        "param",
        "secret",
        "schema",
        "model",
        "server",
        "template",
        "worker",
        "verifier",
        "orchestrator",
        "test",
    }
)


class _Boundary(msgspec.Struct, frozen=True):
    """Where a declaration may begin; `in_text` if that is inside a text block."""

    offset: int
    in_text: bool


def recover(
    source: SourceFile,
    docs: dict[int, str],
    found: list[Diagnostic],
    cache: ParseCache | None = None,
) -> tuple[list[ast.Declaration], list[ast.Name]]:
    """Read what can be read of a file that does not parse.

    Args:
        source: The file.
        docs: Doc comments by the offset of what they document (see `Builder`).
        found: Where the diagnostics go.
        cache: Trees of parts of the file that were read before.

    Returns:
        The declarations read, and the names of those that could not be.
    """
    return _Recovery(source, docs, found, cache or ParseCache()).run()


class _ClampedBuilder(Builder):
    """A builder for a repaired text: what was added at its end has no place in the file."""

    limit = 0

    def span(self, start: int, end: int) -> Span:
        """A span that ends where the part of the file ends."""
        limit = self.limit
        return Span(self._source, min(self.base + start, limit), min(self.base + end, limit))


class _Recovery:
    def __init__(
        self,
        source: SourceFile,
        docs: dict[int, str],
        found: list[Diagnostic],
        cache: ParseCache,
    ) -> None:
        self.source = source
        self.docs = docs
        self.found = found
        self.budget = _BUDGET
        self.cache = cache
        self.declarations: list[ast.Declaration] = []
        self.lost: list[ast.Name] = []

    def run(self) -> tuple[list[ast.Declaration], list[ast.Name]]:
        text = self._without_hashes(self.source.text)
        boundaries = _boundaries(text)
        starts = [0, *(item.offset for item in boundaries if item.offset)]
        in_text = {item.offset for item in boundaries if item.in_text}
        at = 0
        while at < len(starts):
            after = at + 1
            while after < len(starts) and starts[after] in in_text:
                after += 1
            # A text block may hold what looks like declarations: try the longer parts too.
            for end in range(at + 1, min(after, at + _MAX_JOINED) + 1):
                stop = starts[end] if end < len(starts) else len(text)
                if self._read_clean(text[starts[at] : stop], starts[at], stop - starts[at]):
                    at = end
                    break
            else:
                stop = starts[at + 1] if at + 1 < len(starts) else len(text)
                self._read(text[starts[at] : stop], starts[at])
                at += 1
            if len(self.found) >= _MAX_ALL_REPORTS:
                break
        return self.declarations, self.lost

    def _without_hashes(self, text: str) -> str:
        """Report comments that begin with `#`, and blank them."""
        pieces: list[str] = []
        done = 0
        for match in _SCAN.finditer(text):
            comment = match["hash"]
            if comment is None or len(self.found) >= _MAX_ALL_REPORTS:
                continue
            start = match.start()
            mark = len(comment) - len(comment.lstrip("#"))
            span = Span(self.source, start, start + mark)
            fix = Fix("write `//`", (Edit(span, "//"),))
            self.found.append(
                diagnostic("ORC907", "comments begin with `//`, not `#`", span, fix=fix)
            )
            pieces += [text[done:start], " " * len(comment)]
            done = match.end()
        return "".join([*pieces, text[done:]])

    def _parse(self, text: str) -> Tree | UnexpectedInput:
        tree = self.cache.tree(text)
        return parse_error(text) if tree is None else tree

    def _read_clean(self, text: str, base: int, length: int) -> bool:
        tree = self.cache.tree(text)
        if tree is None:
            return False
        self._build(tree, base, length)
        return True

    def _build(self, tree: Tree, base: int, length: int) -> None:
        builder = _ClampedBuilder(self.source, self.docs, self.found, base)
        builder.limit = base + length
        self.declarations += builder.declarations(tree)

    def _read(self, text: str, base: int) -> None:
        """Read one part of the file: a declaration, if the split was right."""
        result = self._parse(text)
        reports = 0
        length = len(text)
        for _ in range(_MAX_REPAIRS):
            if isinstance(result, Tree):
                break
            if reports == 0 and self._keep_unknown(text, base):
                return
            problem = Problem.of(self.source, text, base, result)
            best = self._best(problem, text)
            if best is None:
                if reports < _MAX_REPORTS:
                    self.found.append(problem.plain())
                    reports += 1
                break
            repair, text, result = best
            if reports < _MAX_REPORTS:
                self.found.append(repair.diagnostic)
                reports += 1
        if isinstance(result, Tree):
            self._build(result, base, length)
        else:
            self._keep_head(text[:length], base)

    def _best(
        self, problem: Problem, text: str
    ) -> tuple[Repair, str, Tree | UnexpectedInput] | None:
        """The repair after which the parser gets furthest; the first of equals."""
        best = None
        best_score = (problem.offset, 0)
        for repair in repairs(problem):
            if self.budget < 0:
                break
            result = self._parse(repair.text)
            if isinstance(result, Tree):
                reached = len(repair.text)
                unknown = sum(
                    isinstance(child, Tree) and child.data == "unknown" for child in result.children
                )
                score = (1 << 62, -unknown)
            else:
                reached = min(_offset(result, len(repair.text)), len(repair.text))
                score = (reached, -1)
            self.budget -= reached
            if score > best_score:
                best, best_score = (repair, repair.text, result), score
            if score == (1 << 62, 0):
                break
        return best

    def _keep_unknown(self, text: str, base: int) -> bool:
        """Keep a declaration whose first word is a typo; that is the one thing to report."""
        start = _first_offset(text)
        match = _WEAK.match(text, start)
        word = re.compile(_NAME).match(text, start)
        if match is None or word is None or word[0] in _KEYWORDS:
            return False
        second = _NAMED.match(text, start)
        name = None
        if second:
            name_span = Span(self.source, base + second.start(2), base + second.end(2))
            name = ast.Name(name_span, second[2])
        keyword = ast.Name(Span(self.source, base + word.start(), base + word.end()), word[0])
        span = Span(self.source, base + start, base + len(text.rstrip()))
        doc = self.docs.pop(span.start, None)
        self.declarations.append(ast.UnknownDecl(span, doc, keyword, name))
        return True

    def _keep_head(self, text: str, base: int) -> None:
        """Keep a declaration with an empty body, if its head parses, or else its name."""
        tries = 0
        for token in tokenize(text):
            if token.text != "{":
                continue
            tries += 1
            if tries > 5 or self.budget < 0:
                break
            self.budget -= token.start
            if self._read_clean(text[: token.start] + "{}", base, len(text)):
                return
        named = _NAMED.match(text, _first_offset(text))
        if named and named[1] in _KEYWORDS:
            span = Span(self.source, base + named.start(2), base + named.end(2))
            self.lost.append(ast.Name(span, named[2]))


def _offset(error: UnexpectedInput, end: int) -> int:
    token = getattr(error, "token", None)
    if token is not None and token.type == "$END":
        return end
    return int(error.pos_in_stream or 0)


def _first_offset(text: str) -> int:
    match = _BLANKS_AND_COMMENTS.match(text)
    return match.end() if match else 0


def declaration_starts(text: str) -> list[int]:
    """Where keywords at the beginning of a line seem to begin declarations, ascending."""
    return [
        found.start()
        for found in _OUTLINE.finditer(text)
        if found["word"] and _STRONG.match(text, found.start())
    ]


def _boundaries(text: str) -> list[_Boundary]:
    """Where lines look like the beginning of a declaration."""
    found: list[_Boundary] = []
    depth = 0
    at = 0
    while match := _SCAN.search(text, at):
        at = match.end()
        if match["open"]:
            depth += 1
        elif match["close"]:
            depth -= 1
        elif match["word"]:
            if _STRONG.match(text, match.start()):
                found.append(_Boundary(match.start(), False))
                depth = 0
            elif depth <= 0 and _WEAK.match(text, match.start()):
                found.append(_Boundary(match.start(), False))
        elif match["text"]:
            # A lost quote turns blocks inside out: believe a declaration more than a quote.
            for word in _LINE_START_WORD.finditer(text, match.start(), match.end()):
                if _STRONG.match(text, word.start()):
                    found.append(_Boundary(word.start(), True))
                    depth = 0
                    at = word.end()
                    break
    return found
