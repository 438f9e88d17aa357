"""Addresses put together from written parts and values: a value never leaves its place.

`"https://api.example.com/users/" ~ id ~ "/profile"` is taken apart into what the author wrote
(literals, `param`, `secret`, the text of templates) and what came with the call. A value in the
path stays within its segment: `/`, `\\`, `?`, `#` and control characters are refused in it, also
percent-encoded any number of times, and so is a segment that would be `.`, `..` or empty. What
`segment` has encoded is let through. A value in the host may not end it, and one in the query may
not begin another parameter.

An address that is a value as a whole (`url = page`) is left as it is: its host is checked by who
sends it. Nothing here sends anything or knows a client.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from engine.errors import OrchError
from engine.sema.expressions.compiler import Expression, free_names
from engine.sema.expressions.metering import Rendered, current
from engine.sema.expressions.printing import text_of
from engine.sema.expressions.segments import decodings, is_dots, segment
from engine.syntax import ast

__all__ = [
    "Address",
    "AddressError",
    "Piece",
    "Reader",
    "address_of",
    "chosen_by",
    "is_written",
    "parts_of",
    "places",
]

#: What the caller of a run or its environment chooses, never a model.
_OURS = frozenset({"param", "secret"})
_IN_PATH = re.compile(r"[/\\?#\x00-\x1f\x7f]")
_IN_QUERY = re.compile(r"[&#\x00-\x1f\x7f]")
#: Whoever sends it compares host and port with a list.
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[\w.-]*)(?::[0-9]{1,5})?")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+")
_NAMES = {"/": "`/`", "\\": "`\\`", "?": "`?`", "#": "`#`", "&": "`&`"}
#: Filters that hand a value on as it is.
_PASSING = frozenset({"d", "default", "first", "last", "string", "trim"})

Kind = Literal["written", "value", "segment", "encoded", "whole"]
Place = Literal["scheme", "host", "path", "query", "fragment"]


class AddressError(OrchError):
    """An address that is refused; `str()` is one sentence, which names the value."""


class Piece(NamedTuple):
    """A part of an address: what was written, or a value and where it came from.

    `segment` and `encoded` are values that the filters `segment` and `urlencode` have made;
    `whole` is a complete address that was chosen elsewhere.
    """

    text: str
    kind: Kind
    source: str = ""


# ---------------------------------------------------------------- what an address is made of


def parts_of(expr: ast.Expr) -> Iterator[ast.Expr]:
    """The parts of `a ~ b ~ c`, in order."""
    todo = [expr]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Binary) and node.operator == "~":
            todo += [node.right, node.left]
        else:
            yield node


def is_written(expr: ast.Expr, also: frozenset[str] = frozenset()) -> bool:
    """Whether what an expression gives was chosen by the author or by whoever starts the run.

    Args:
        also: Names of texts of the file.
    """
    ours = _OURS | also
    if free_names(expr) <= ours:
        return True
    root = expr
    while isinstance(root, ast.Attribute | ast.Index):
        root = root.object
    # One of the values of a literal map or list, whichever is picked.
    return isinstance(root, ast.MapExpr | ast.ListExpr) and free_names(root) <= ours


def _is_data(expr: ast.Expr) -> bool:
    """Whether an expression only reads a value that is there."""
    while True:
        if isinstance(expr, ast.Variable):
            return True
        if isinstance(expr, ast.Attribute | ast.Index):
            expr = expr.object
        elif isinstance(expr, ast.FilterCall) and expr.name.text in _PASSING:
            expr = expr.operand
        else:
            return False


def _data_inside(expr: ast.Expr, also: frozenset[str]) -> Iterator[ast.Expr]:
    """The values that an expression reads, each as a whole; not those that are written."""
    todo: list[Any] = [expr]
    while todo:
        node = todo.pop()
        if isinstance(node, tuple):
            todo.extend(node)
        elif isinstance(node, ast.Expr) and _is_data(node):
            if not is_written(node, also):
                yield node
        elif isinstance(node, ast.Call) and isinstance(node.function, ast.Attribute):
            todo += [node.function.object, node.args, node.kwargs]
        elif isinstance(node, ast.Call):
            todo += [node.args, node.kwargs]
        elif isinstance(node, ast.Node) and not isinstance(node, ast.Name):
            todo.extend(getattr(node, name) for name in node.__struct_fields__ if name != "span")


def chosen_by(expr: ast.Expr) -> frozenset[str]:
    """The names that decide which host an address leads to."""
    found = (part for place, part in _placed(expr, Reader()) if place in ("scheme", "host"))
    return frozenset[str]().union(*map(free_names, found)) - _OURS


def _placed(expr: ast.Expr, reader: Reader) -> Iterator[tuple[Place, ast.Expr]]:
    """The parts of an address except literals, each with the place where it begins.

    A value that begins an address may be all of it, or its scheme. What is written after it tells.
    """
    for part in parts_of(expr):
        if isinstance(part, ast.Conditional):
            yield reader.place, part.test
            yield from _placed(part.then, reader.copy())
            yield from _placed(part.otherwise, reader)
        elif isinstance(part, ast.String):
            _read_after_value(reader, part.value)
        else:
            yield reader.place, part
            if reader.place == "scheme" and is_written(part):
                reader.read("http://host")


def _read_after_value(reader: Reader, text: str) -> None:
    """Read a literal, where what came before it may have been a whole address."""
    if reader.place == "scheme" and text.startswith("//"):
        reader.place = "host"
        reader.read(text[2:])
        return
    reader.read(text)
    if reader.place == "scheme" and any(char in text for char in "/?#"):
        reader.place = "path"


class Address:
    """An expression that gives an address, taken apart once and evaluated any number of times."""

    def __init__(self, expression: Expression) -> None:
        self._expression = expression
        self._made: dict[int, Expression] = {}
        #: Templates without parameters, which are texts.
        self._texts = expression.texts - _OURS

    def evaluate(self, scope: Mapping[str, Any]) -> list[Piece]:
        """The pieces of the address in a scope, checked.

        Raises:
            EvaluationError: A part cannot be evaluated.
            AddressError: A value does not stay in its place.
        """
        pieces = list(self._pieces(self._expression.expr, scope, first=True))
        _check(pieces)
        return pieces

    def _value(self, expr: ast.Expr, scope: Mapping[str, Any]) -> Any:
        made = self._made.get(id(expr))
        if made is None:
            made = self._made[id(expr)] = self._expression.part(expr)
        return made.evaluate(scope)

    def _pieces(self, expr: ast.Expr, scope: Mapping[str, Any], *, first: bool) -> Iterator[Piece]:
        for part in parts_of(expr):
            if isinstance(part, ast.Conditional):
                chosen = part.then if self._value(part.test, scope) else part.otherwise
                yield from self._pieces(chosen, scope, first=first)
            elif isinstance(part, ast.FilterCall) and part.name.text == "segment":
                yield self._segment(part, scope)
            elif is_written(part, self._texts):
                yield Piece(text_of(self._value(part, scope)), "written")
            elif isinstance(part, ast.Call):
                yield from self._called(part, scope, first=first)
            elif first and _is_data(part):
                yield Piece(text_of(self._value(part, scope)), "whole", _words(part))
            elif first:
                yield self._computed(part, scope)
            else:
                yield Piece(text_of(self._value(part, scope)), _kind(part), _words(part))
            first = False

    def _called(self, part: ast.Call, scope: Mapping[str, Any], *, first: bool) -> Iterator[Piece]:
        """The text of a template, with the values in it told apart; or what a method gives."""
        token = secrets.token_hex(8)  # so that no value can close the mark it stands between
        marks = f"\ufdd0{token}\ufdd1", f"\ufdd2{token}\ufdd3"
        current.marks = marks
        try:
            value = self._value(part, scope)
        finally:
            current.marks = None
        if not isinstance(value, Rendered):
            yield (
                self._computed(part, scope)
                if first
                else Piece(text_of(value), "value", _words(part))
            )
            return
        depth = 0
        for found in re.split(f"({marks[0]}|{marks[1]})", value):
            if found == marks[0]:
                depth += 1
            elif found == marks[1]:
                depth -= 1
            elif token in found:
                raise AddressError(f"the values in `{_words(part)}` cannot be told apart")
            elif depth:
                yield Piece(found, "value", _words(part))
            elif found:
                yield Piece(found, "written")

    def _segment(self, part: ast.FilterCall, scope: Mapping[str, Any]) -> Piece:
        try:
            text = segment(text_of(self._value(part.operand, scope)))
        except ValueError as error:
            raise AddressError(f"`{_words(part.operand)}` {error}") from None
        return Piece(text, "segment", _words(part))

    def _computed(self, part: ast.Expr, scope: Mapping[str, Any]) -> Piece:
        """What begins an address and is neither written nor a value as it is: every value that
        goes into it is checked by itself."""
        for data in _data_inside(part, self._texts):
            for text in _inside(self._value(data, scope)):
                piece = Piece(text, "value", _words(data))
                _check_path(piece)
                _check_segment([piece])
        text = text_of(self._value(part, scope))
        for made in text.partition("://")[2].partition("?")[0].split("/")[1:]:
            _check_segment([Piece(made, "written"), Piece("", "value", _words(part))])
        return Piece(text, "written")


@lru_cache(maxsize=512)
def address_of(expression: Expression) -> Address:
    """The address that an expression gives, taken apart once."""
    return Address(expression)


def _kind(part: ast.Expr) -> Kind:
    is_encoded = isinstance(part, ast.FilterCall) and part.name.text == "urlencode"
    return "encoded" if is_encoded else "value"


def _words(expr: ast.Expr) -> str:
    shown = " ".join(expr.span.text.split())
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _inside(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _inside(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _inside(item)
    else:
        yield text_of(value)


# ---------------------------------------------------------------- checks


def _check(pieces: list[Piece]) -> None:
    """Refuse a value that does not stay in its place."""
    reader = Reader()
    for piece in pieces:
        if piece.kind in ("written", "whole"):
            reader.read(piece.text)
        else:
            _CHECKS[reader.place](piece)
            reader.value(piece)
    reader.end()


def places(pieces: list[Piece]) -> list[Place]:
    """Where each piece of an address begins."""
    reader = Reader()
    found: list[Place] = []
    for piece in pieces:
        found.append(reader.place)
        if piece.kind in ("written", "whole"):
            reader.read(piece.text)
    return found


class Reader:
    """Follows an address from its beginning; `place` is the position of the next character."""

    def __init__(self) -> None:
        self.place: Place = "scheme"
        self._last = ""
        self._segment: list[Piece] = []

    def copy(self) -> Reader:
        """A reader that is at the same place."""
        made = Reader()
        made.place, made._last, made._segment = self.place, self._last, list(self._segment)
        return made

    def read(self, text: str) -> None:
        """What was written there: it may lead to another place."""
        for char in text:
            if self.place == "scheme":
                self._last = (self._last + char)[-3:]
                if self._last == "://":
                    self.place = "host"
            elif self.place == "query":
                self.place = "fragment" if char == "#" else "query"
            elif self.place != "fragment":
                self._step(char)

    def _step(self, char: str) -> None:
        """A character of the host or of the path."""
        if char in _ENDS:
            self.end()
            self.place = _ENDS[char]
        elif self.place == "path":
            self._segment.append(Piece(char, "written"))

    def value(self, piece: Piece) -> None:
        """A value that stays in its place."""
        if self.place == "path":
            self._segment.append(piece)

    def end(self) -> None:
        """A segment is over, or the address is.

        Raises:
            AddressError: A value has made it empty, `.` or `..`.
        """
        _check_segment(self._segment)
        self._segment = []


#: What ends a host or a segment, and what comes then.
_ENDS: dict[str, Literal["path", "query", "fragment"]] = {
    "/": "path",
    "?": "query",
    "#": "fragment",
}


def _check_host(piece: Piece) -> None:
    if not _HOST.fullmatch(piece.text):
        raise AddressError(
            f"with `{piece.source}`, the host is not in the file: "
            "a value in a host has letters, digits, `-` and `.` only"
        )


def _check_path(piece: Piece) -> None:
    if piece.kind == "segment" and _SEGMENT.fullmatch(piece.text):
        return
    for depth, seen in enumerate(_readings(piece)):
        found = _IN_PATH.search(seen)
        if found is not None:
            what = _NAMES.get(found[0], "a control character")
            how = " percent-encoded" if depth else ""
            raise AddressError(
                f"`{piece.source}` has {what}{how}, and would leave its segment of the path; "
                f"write `{_inner(piece)} | segment` if that belongs to the value"
            )


def _check_query(piece: Piece) -> None:
    if piece.kind != "value":
        return
    found = _IN_QUERY.search(piece.text)
    if found is not None:
        what = _NAMES.get(found[0], "a control character")
        raise AddressError(
            f"`{piece.source}` has {what}, and would leave its place in the query; "
            "put it into `query`, or write `| urlencode`"
        )


def _inner(piece: Piece) -> str:
    return re.sub(r"\s*\|\s*urlencode$", "", piece.source.strip("()"))


def _check_segment(row: list[Piece]) -> None:
    """Refuse a segment that a value has made empty, `.` or `..`."""
    values = [piece for piece in row if piece.kind != "written"]
    if not values:
        return
    text = "".join(piece.text for piece in row)
    if not text:
        raise AddressError(f"`{values[0].source}` is empty, and leaves out a segment of the path")
    if any(map(is_dots, _readings(Piece(text, "value", values[0].source)))):
        raise AddressError(f"`{values[0].source}` makes a segment of the path `.` or `..`")


def _readings(piece: Piece) -> Iterator[str]:
    """What a server may read in a value."""
    try:
        yield from decodings(piece.text)
    except ValueError as error:
        raise AddressError(f"`{piece.source}` {error}") from None


def _pass(piece: Piece) -> None:
    """A fragment is not sent."""


_CHECKS = {
    "scheme": _check_host,
    "host": _check_host,
    "path": _check_path,
    "query": _check_query,
    "fragment": _pass,
}
