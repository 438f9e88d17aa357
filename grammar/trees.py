"""Parse trees: what every parse of a `.orch` text gives.

Leaves are tokens, nodes are trees named after the rules of `orch.lark`. Knows neither parser:
`grammar.fast` makes these trees itself.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Part", "Token", "Tree"]


class Token(str):
    """A word of the text, as it was written.

    Attributes:
        type: The name of its terminal, such as `NAME` or `LBRACE`.
        start_pos: Where it begins, in characters.
    """

    __slots__ = ("start_pos", "type")

    type: str
    start_pos: int


class Tree:
    """A rule that was read.

    Attributes:
        data: The name of the rule.
        children: What it is made of, in order; punctuation that has no name is left out.
    """

    __slots__ = ("children", "data")

    def __init__(self, data: str, children: list[Part]) -> None:
        self.data = data
        self.children = children


Part: TypeAlias = "Token | Tree"
