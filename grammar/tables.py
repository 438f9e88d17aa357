"""The tables of the fast parser: derived from Lark's, as plain data, and kept as a file.

Lark reads the grammar, proves that it is free of conflicts and makes the LALR tables. This module
takes from them what `grammar.fast` needs: actions, gotos, the shape of each rule's tree, and how
to lex. Loading Lark's own tables costs 33 ms of CPU next to 25 ms for Lark; these cost 3 ms.

Invariant: what is here says nothing that Lark does not say, so both parsers accept the same
texts and give the same trees (`tests/unit/syntax/test_fast_parser.py` compares them).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from lark import Lark

__all__ = ["END", "FORMAT", "Lexing", "Shape", "Tables", "derive"]

#: To be counted up whenever what is in a table file changes.
FORMAT = 1

#: What Lark calls the end of a text.
END = "$END"


class Shape(msgspec.Struct, frozen=True, array_like=True):
    """How a rule is reduced.

    Attributes:
        size: How many symbols it takes off the stack.
        origin: The nonterminal that it gives.
        name: The name of its tree; None if it is spliced into the tree above.
        single: A lone child takes the place of the tree.
        takes: Which symbols to keep, and whether to splice them; None to keep all as they are.
        passes: It has one symbol and gives just that.
    """

    size: int
    origin: str
    name: str | None
    single: bool
    takes: tuple[tuple[int, bool], ...] | None
    passes: bool


class Lexing(msgspec.Struct, frozen=True, array_like=True):
    """How to lex where the parser accepts certain terminals only.

    Attributes:
        pattern: One group for each terminal, in Lark's order.
        keywords: What may be matched as a name and is a terminal of its own, by its text.
    """

    pattern: str
    keywords: dict[str, str]


class Tables(msgspec.Struct, frozen=True, array_like=True):
    """Everything that `grammar.fast` runs on.

    Attributes:
        start: The first state.
        end: The state in which the whole text has been read.
        actions: For each state, by terminal: a state to shift to, or `~n` to reduce by rule `n`.
        gotos: For each state, by nonterminal: the state after it.
        shapes: The rules.
        lexing: How to lex in a state, by its number: an index into `lexings`.
        lexings: Each way of lexing once.
        everywhere: How to lex if every terminal were accepted.
        ignored: The terminals that never reach the parser.
    """

    start: int
    end: int
    actions: list[dict[str, int]]
    gotos: list[dict[str, int]]
    shapes: list[Shape]
    lexing: list[int]
    lexings: list[Lexing]
    everywhere: Lexing
    ignored: frozenset[str]


def derive(lark: Lark) -> Tables:
    """The tables of the parser that Lark has made of the grammar."""
    # Lark does not type its insides: its tables have no public reader.
    frontend: Any = lark.parser
    table: Any = frontend.parser._parse_table
    numbers = {state: number for number, state in enumerate(table.states)}
    rules: dict[Any, int] = {}
    actions: list[dict[str, int]] = []
    gotos: list[dict[str, int]] = []
    for row in table.states.values():
        actions.append({})
        gotos.append({})
        for symbol, (action, argument) in row.items():
            if action.name == "Reduce":
                actions[-1][str(symbol)] = ~rules.setdefault(argument, len(rules))
            elif symbol.isupper() or symbol == END:
                actions[-1][str(symbol)] = numbers[argument]
            else:
                gotos[-1][str(symbol)] = numbers[argument]
    lexings: list[Lexing] = []
    lexing = [_index(lexings, _lexing(frontend.lexer.lexers[state])) for state in table.states]
    return Tables(
        start=numbers[table.start_states["start"]],
        end=numbers[table.end_states["start"]],
        actions=actions,
        gotos=gotos,
        shapes=[_shape(rule) for rule in rules],
        lexing=lexing,
        lexings=lexings,
        everywhere=_lexing(frontend.lexer.root_lexer),
        ignored=frozenset(map(str, frontend.lexer.root_lexer.ignore_types)),
    )


def _index(known: list[Lexing], one: Lexing) -> int:
    if one not in known:
        known.append(one)
    return known.index(one)


def _shape(rule: Any) -> Shape:
    """What Lark's tree builder does with a rule, written down."""
    kept = [
        (at, not symbol.is_term and symbol.name.startswith("_"))
        for at, symbol in enumerate(rule.expansion)
        if rule.options.keep_all_tokens or not (symbol.is_term and symbol.filter_out)
    ]
    is_whole = len(kept) == len(rule.expansion) and not any(splice for _, splice in kept)
    origin = str(rule.origin.name)
    name = str(rule.alias or origin)
    size = len(rule.expansion)
    is_single = bool(rule.options.expand1 and not rule.alias)
    return Shape(
        size=size,
        origin=origin,
        name=None if name.startswith("_") else name,
        single=is_single,
        takes=None if is_whole else tuple(kept),
        passes=is_single and is_whole and size == 1,
    )


def _lexing(lexer: Any) -> Lexing:
    scanner = lexer.scanner  # also makes `callback`, which tells keywords from names
    (compiled,) = scanner._mres
    keywords = {
        str(terminal.pattern.value): str(terminal.name)
        for callback in lexer.callback.values()
        for terminal in _terminals(callback)
    }
    return Lexing(compiled.pattern, keywords)


def _terminals(callback: Any) -> Iterable[Any]:
    terminals: Iterable[Any] = callback.scanner.terminals
    return terminals
