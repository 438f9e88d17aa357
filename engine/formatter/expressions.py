"""Layout of expressions: operators in the middle, filters as pipelines, brackets item by item.

An expression that does not fit breaks before its loosest operators first; a pipeline before each
`|`; brackets after each item, with a comma after the last. Brackets, spellings and the order of
things stay as written.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.formatter.layout import Break, Doc, Group, OwnLines, Piece, TextBlock, concat
from engine.formatter.trivia import Trivia
from engine.source import SourceFile
from engine.syntax.literals import read_text_block
from grammar import Token, Tree

__all__ = ["ExpressionLayout", "Part"]

Part = Token | Tree

_LEVELS = {
    "OR": 1,
    "AND": 2,
    "COMPARE": 4,
    "IN": 4,
    "NOT_IN": 4,
    "PLUS": 5,
    "MINUS": 5,
    "TILDE": 6,
    "TIMES": 7,
    "POWER": 8,
}


class ExpressionLayout:
    """Makes pieces of layout from parse trees of expressions.

    Args:
        source: The file.
        tree: Its parse tree.
    """

    def __init__(self, source: SourceFile, tree: Tree) -> None:
        self.source = source
        self.trivia = Trivia(source, tree)

    # ------------------------------------------------------------ tokens

    def token(self, token: Part) -> Doc:
        """A token with its comments."""
        assert isinstance(token, Token)
        doc = self._text(token)
        trivia = self.trivia
        start = _start(token)
        if start in trivia.before:
            comments = trivia.before.pop(start)
            doc = concat(OwnLines(tuple(text for _, text in comments)), doc)
        if start in trivia.after:
            doc = concat(doc, trivia.after.pop(start))
        return doc

    def _text(self, token: Token) -> Doc:
        kind = token.type
        if kind == "NOT_IN":
            return "not in"
        if kind != "TEXT" or "\n" not in token:
            return str(token)
        return TextBlock(str(token), read_text_block(token, 0)[0])

    def name(self, part: Part) -> Doc:
        """A name, or a dotted one."""
        if isinstance(part, Token):
            return self.token(part)
        return concat(*(self.token(child) for child in part.children))

    # ------------------------------------------------------------ brackets

    def brackets(self, node: Part, items: Sequence[Doc], *, pad: str, keep: bool) -> Doc:
        """Items between the first and the last token of a tree, with commas.

        Args:
            node: The tree.
            items: What is between its brackets.
            pad: What is inside the brackets on one line.
            keep: Whether a line break after the opening bracket keeps the items apart.
        """
        assert isinstance(node, Tree)
        opening, closing = node.children[0], node.children[-1]
        assert isinstance(opening, Token)
        # Comments after the last item are with the items, not with the bracket.
        inside = [text for _, text in self.trivia.before.pop(_start(closing), ())]
        begin, end = self.token(opening), self.token(closing)
        if not items and not inside and not isinstance(begin, Piece):
            return concat(begin, end)
        bare = not items and not inside
        parts: list[Doc | Break] = [begin, Break(pad if items else "", closing=bare)]
        for item in items[:-1]:
            parts += [concat(item, ","), Break()]
        if items:
            parts += [items[-1], Break(pad, ",", closing=not inside)]
        for number, comment in enumerate(inside, 1):
            parts += [comment, Break("", closing=number == len(inside))]
        forced = bool(inside) or (keep and self.breaks_after(opening))
        return Group([*parts, end], forced=forced)

    def breaks_after(self, token: Token) -> bool:
        """Whether the author ended the line after a token."""
        return self.trivia.breaks_after(_start(token) + len(token))

    # ------------------------------------------------------------ expressions

    def expression(self, node: Part) -> Doc:
        """An expression."""
        if isinstance(node, Token):
            return self.token(node)
        kind = node.data
        children = node.children
        if kind == "flat":
            return self._flat(children)
        if kind == "list":
            items = [self.expression(child) for child in children[1:-1]]
            return self.brackets(node, items, pad="", keep=True)
        if kind == "map":
            entries = [self._entry(child) for child in children[1:-1]]
            return self.brackets(node, entries, pad=" ", keep=True)
        if kind == "group":
            begin, inner = self.token(children[0]), self.expression(children[1])
            end = self.token(children[2])
            return Group([begin, Break(""), inner, Break("", closing=True), end])
        return self._conditional(node)

    def _conditional(self, node: Part) -> Doc:
        """`a if b else c if d else e` is one piece, however long the chain."""
        parts: list[Doc | Break] = []
        word: Doc = ""
        while isinstance(node, Tree) and node.data == "conditional":
            then, if_, test, else_, otherwise = node.children
            parts += [concat(word, self.expression(then)), Break()]
            parts += [concat(self.token(if_), " ", self.expression(test)), Break()]
            word = concat(self.token(else_), " ")
            node = otherwise
        return Group([*parts, concat(word, self.expression(node))])

    def _entry(self, node: Part) -> Doc:
        assert isinstance(node, Tree)
        return concat(self.token(node.children[0]), ": ", self.expression(node.children[1]))

    def _flat(self, parts: Sequence[Part]) -> Doc:
        operands: list[Doc] = []
        operators: list[tuple[int, Doc]] = []
        at = 0
        while True:
            at, operand = self._operand(parts, at)
            operands.append(operand)
            if at == len(parts):
                return _chain(operands, operators)
            operator = parts[at]
            assert isinstance(operator, Token)
            operators.append((_LEVELS[operator.type], self.token(operator)))
            at += 1

    def _operand(self, parts: Sequence[Part], at: int) -> tuple[int, Doc]:
        """Prefixes, an atom and its postfixes; gives the index after them."""
        tight: list[Doc] = []
        while isinstance(part := parts[at], Token) and part.type in ("MINUS", "PLUS", "NOT"):
            tight.append(self.token(part))
            if part.type == "NOT":
                tight.append(" ")
            at += 1
        tight.append(self.expression(part))
        at += 1
        steps: list[Doc | Break] = []
        while at < len(parts):
            part = parts[at]
            if isinstance(part, Token):
                if part.type != "DOT":
                    break
                tight += [self.token(part), self.token(parts[at + 1])]
                at += 2
                continue
            if part.data == "filter":
                steps += [concat(*tight), Break()]
                tight = ["| ", self.token(part.children[0])]
            elif part.data == "is_test":
                for word in part.children:
                    tight += [" ", self.token(word)]
            elif part.data == "index":
                tight.append(self._index(part))
            else:
                tight.append(self._arguments(part))
            at += 1
        last = concat(*tight)
        return at, Group([*steps, last]) if steps else last

    def _index(self, node: Tree) -> Doc:
        opening, inside, closing = node.children
        if isinstance(inside, Tree) and inside.data == "slice":
            doc = concat(*(self.expression(child) for child in inside.children))
        else:
            doc = self.expression(inside)
        return concat(self.token(opening), doc, self.token(closing))

    def _arguments(self, node: Tree) -> Doc:
        items: list[Doc] = []
        for child in node.children[1:-1]:
            if isinstance(child, Tree) and child.data == "keyword":
                name, value = child.children
                items.append(concat(self.token(name), "=", self.expression(value)))
            else:
                items.append(self.expression(child))
        return self.brackets(node, items, pad="", keep=False)


def _start(part: Part) -> int:
    assert isinstance(part, Token)
    return part.start_pos or 0


def _chain(operands: Sequence[Doc], operators: Sequence[tuple[int, Doc]]) -> Doc:
    """Operands and operators, in a group that breaks before the loosest operators."""
    if not operators:
        return operands[0]
    loosest = min(level for level, _ in operators)
    places = [at for at, (level, _) in enumerate(operators) if level == loosest]
    parts: list[Doc | Break] = [_chain(operands[: places[0] + 1], operators[: places[0]])]
    for place, end in zip(places, [*places[1:], len(operators)], strict=True):
        right = _chain(operands[place + 1 : end + 1], operators[place + 1 : end])
        parts += [Break(), concat(operators[place][1], " ", right)]
    return Group(parts)
