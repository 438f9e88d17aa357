"""Layout of declarations, bodies and types.

Members keep their order. In a body with several lines they are one to a line, without commas;
on one line the members of a schema are parted by commas, those of any other body by two blanks.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.formatter.expressions import ExpressionLayout, Part
from engine.formatter.layout import Body, Break, Doc, Group, Item, Signature, concat
from engine.formatter.trivia import about_line
from grammar import Token, Tree

__all__ = ["DeclarationLayout"]


class DeclarationLayout(ExpressionLayout):
    """Makes pieces of layout from the parse tree of a whole file."""

    def file(self, tree: Tree) -> list[Item]:
        """The declarations and comments of a file."""
        items: list[Item] = []
        last = 0
        for child in tree.children:
            assert isinstance(child, Tree)
            begin = _first(child)
            kind = "edition" if child.data == "edition" else "declaration"
            last, held, blank = self._above(items, last, begin)
            items.append(Item(kind, self._declaration(child), blank=blank, held=held))
            last = _end_of(_last(child))
        self._comments(items, last, len(self.source.text))
        return items

    # ------------------------------------------------------------ members

    def _above(self, items: list[Item], last: int, token: Token) -> tuple[int, bool, bool]:
        """Take the comments above a member.

        Returns:
            Where they end, whether one of them is about the member's first line, and whether a
            blank line is before the member.
        """
        start = token.start_pos or 0
        known = len(items)
        last = self._comments(items, last, start)
        blank = bool(items) and self.trivia.blank_between(last, start)
        held = False
        for item in reversed(items[known:]):
            if blank or held:
                break
            held = about_line(str(item.doc))
            if item.blank:
                break
        return last, held, blank

    def _comments(self, items: list[Item], last: int, target: int) -> int:
        for start, comment in self.trivia.before.pop(target, ()):
            blank = bool(items) and self.trivia.blank_between(last, start)
            items.append(Item("comment", comment, blank=blank))
            last = start + len(comment)
        return last

    def _body(self, node: Part, between: str = "  ") -> Body:
        assert isinstance(node, Tree)
        first, *members, end = node.children
        assert isinstance(first, Token)
        assert isinstance(end, Token)
        opening = self.token(first)
        items: list[Item] = []
        last = _end_of(first)
        for member in members:
            assert isinstance(member, Tree)
            last, held, blank = self._above(items, last, _first(member))
            item = self._member(member)
            item.held, item.blank = held, blank
            items.append(item)
            last = _end_of(_last(member))
        self._comments(items, last, end.start_pos or 0)
        closing = self.token(end)
        forced = bool(members) and self.breaks_after(first)
        return Body(opening, items, closing, between=between, forced=forced)

    def _member(self, node: Tree) -> Item:
        kind = node.data
        if kind == "field":
            return Item("other", self._field(node))
        if kind == "assertion":
            return Item("other", self._assertion(node))
        if kind == "block":
            *words, inner = node.children
            names = [self.name(word) for word in words]
            body = self._body(inner)
            if all(isinstance(name, str) for name in names):
                head, *labels = [str(name) for name in names]
                return Item("block", body, head=" ".join([head, ", ".join(labels)]).rstrip())
            return Item("other", concat(*_spaced(names), " ", body))
        name, value = self.token(node.children[0]), self.expression(node.children[1])
        if isinstance(name, str):
            return Item("setting", value, head=name)
        return Item("other", concat(name, " = ", value))

    def _assertion(self, node: Tree) -> Doc:
        parts = node.children
        test = concat(self.token(parts[0]), " ", self.expression(parts[1]))
        if len(parts) == 2:
            return test
        message = concat(self.token(parts[2]), " ", self.expression(parts[3]))
        return Group([test, Break(), message])

    # ------------------------------------------------------------ types

    def _inputs(self, node: Part) -> Doc:
        return self._fields(node, "")

    def _fields(self, node: Part, pad: str) -> Doc:
        assert isinstance(node, Tree)
        fields = [self._field(child) for child in node.children[1:-1]]
        return self.brackets(node, fields, pad=pad, keep=True)

    def _field(self, node: Part) -> Doc:
        assert isinstance(node, Tree)
        return concat(self.token(node.children[0]), ": ", self._typed(node.children[1:]))

    def _typed(self, parts: Sequence[Part]) -> Doc:
        """A type, constraints, and maybe a default with constraints."""
        docs = [self._type(parts[0]), self._constraints(parts[1])]
        if len(parts) > 2:
            docs += [" = ", self._default(parts[2]), self._constraints(parts[3])]
        return concat(*docs)

    def _default(self, node: Part) -> Doc:
        assert isinstance(node, Tree)
        return self.expression(node.children[0])

    def _constraints(self, node: Part) -> Doc:
        assert isinstance(node, Tree)
        docs: list[Doc] = []
        for child in node.children:
            docs += [" ", self._constraint(child)]
        return concat(*docs)

    def _constraint(self, node: Part) -> Doc:
        assert isinstance(node, Tree)
        at, name, *rest = node.children
        head = concat(self.token(at), self.token(name))
        if not rest:
            return head
        items: list[Doc] = []
        for child in rest[1:-1]:
            assert isinstance(child, Tree)
            value = self.expression(child.children[-1])
            if len(child.children) == 3:
                key, colon = self.token(child.children[0]), self.token(child.children[1])
                value = concat(key, colon, " ", value)
            items.append(value)
        return concat(head, self.brackets(Tree("", rest), items, pad="", keep=False))

    def _type(self, node: Part, *, inner: bool = False) -> Doc:
        """A type; `inner` if a union needs brackets where it is."""
        assert isinstance(node, Tree)
        kind = node.data
        if kind in ("array", "optional"):
            item, *suffix = node.children
            return concat(self._type(item, inner=True), *(self.token(part) for part in suffix))
        if kind == "record":
            return self._fields(node, " ")
        if kind != "union":
            return concat(*(self.token(part) for part in node.children))
        parts: list[Doc | Break] = [self._type(node.children[0], inner=True)]
        for child in node.children[1:]:
            parts += [Break(), concat("| ", self._type(child, inner=True))]
        union = Group(parts)
        if not inner:
            return union
        return Group(["(", Break(""), union, Break("", closing=True), ")"])

    # ------------------------------------------------------------ declarations

    def _declaration(self, node: Tree) -> Doc:
        kind = node.data
        parts = node.children
        if kind in ("worker", "verifier", "orchestrator"):
            return self._callable(parts)
        head = self.token(parts[0])
        if kind == "import_names":
            return self._import(head, parts)
        if kind == "param":
            return concat(head, " ", self.token(parts[1]), ": ", self._typed(parts[2:]))
        if kind == "schema_record":
            return concat(head, " ", self.token(parts[1]), " ", self._body(parts[2], ", "))
        if kind == "schema_alias":
            name, type_ = self.token(parts[1]), self._type(parts[2])
            return concat(head, " ", name, " = ", type_, self._constraints(parts[3]))
        if kind == "template":
            name = self.token(parts[1])
            inputs = self._inputs(parts[2]) if len(parts) == 4 else ""
            return concat(head, " ", name, inputs, " = ", self._default(parts[-1]))
        docs = [head]
        for part in parts[1:]:
            if isinstance(part, Tree) and part.data == "body":
                docs += [" ", self._body(part)]
            else:
                docs += [" ", self.name(part)]
        return concat(*docs)

    def _import(self, head: Doc, parts: Sequence[Part]) -> Doc:
        start = concat(head, " ", self.token(parts[1]), " ", self.token(parts[2]))
        names: list[Doc] = []
        for part in parts[3:]:
            assert isinstance(part, Tree)
            names.append(concat(*_spaced([self.token(word) for word in part.children])))
        docs: list[Doc | Break] = [start]
        for name in names[:-1]:
            docs += [Break(), concat(name, ",")]
        return Group([*docs, Break(), names[-1]])

    def _callable(self, parts: Sequence[Part]) -> Doc:
        name = concat(self.token(parts[0]), " ", self.token(parts[1]))
        inputs = self._inputs(parts[2])
        at = 3
        output: Doc = ""
        if isinstance(parts[at], Tree) and parts[at + 1 :] and _is(parts[at + 1], "constraints"):
            type_ = self._type(parts[at])
            output = concat(" -> ", type_, self._constraints(parts[at + 1]))
            at += 2
        fails: Doc = ""
        if _is(parts[at], "fails"):
            fails = self._fails(parts[at])
            at += 1
        via: Doc = ""
        if len(parts) - at == 3:
            via = concat(self.token(parts[at]), " ", self.token(parts[at + 1]))
        body = self._body(parts[-1])
        if not fails:
            return Signature(name, inputs, concat(output, " ", via) if via else output, "", body)
        return Signature(name, inputs, output, concat(fails, " ", via) if via else fails, body)

    def _fails(self, node: Part) -> Doc:
        assert isinstance(node, Tree)
        modes = [self.name(part) for part in node.children[1:]]
        docs = [self.token(node.children[0]), " "]
        for mode in modes[:-1]:
            docs += [mode, ", "]
        return concat(*docs, modes[-1])


def _spaced(docs: Sequence[Doc]) -> list[Doc]:
    spaced: list[Doc] = []
    for doc in docs:
        spaced += [" ", doc]
    return spaced[1:]


def _is(part: Part, kind: str) -> bool:
    return isinstance(part, Tree) and part.data == kind


def _first(part: Part) -> Token:
    while not isinstance(part, Token):
        part = part.children[0]
    return part


def _last(part: Part) -> Token:
    """The last token of a tree, whose last child may be an empty `constraints`."""
    while not isinstance(part, Token):
        children = part.children
        part = children[-1]
        if isinstance(part, Tree) and not part.children:
            part = children[-2]
    return part


def _end_of(token: Token) -> int:
    return (token.start_pos or 0) + len(token)
