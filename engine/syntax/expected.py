"""What was expected where a parse stopped, in a person's words.

Lark's own set of expected terminals is too large (LALR merges look-aheads) and names terminals.
Here every terminal is tried on a copy of the parser's stack, and the ones that would really be
taken become "a value", "a type", "`,` or `]`".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

__all__ = ["accepted_terminals", "expected_words"]

_PUNCTUATION = {
    "EQUAL": "`=`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "ARROW": "`->`",
    "VIA": "`via`",
    "AS": "`as`",
    "FOR": "`for`",
    "IMPORT": "`import`",
    "ELSE": "`else`",
    "LPAR": "`(`",
    "LBRACE": "`{`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "RBRACE": "`}`",
}


def accepted_terminals(error: UnexpectedInput) -> frozenset[str]:
    """The terminals that the parser would have taken where it stopped."""
    state: Any = error.state
    if state is None:
        return frozenset()
    tables = state.parse_conf.states
    stack = list(state.state_stack)
    candidates = (name for name in tables[stack[-1]] if name.isupper())
    return frozenset(name for name in candidates if _accepts(tables, stack, name))


def _accepts(tables: Any, stack: list[Any], terminal: str) -> bool:
    stack = list(stack)
    while True:
        action = tables[stack[-1]].get(terminal)
        if action is None:
            return False
        kind, argument = action
        if kind.name == "Shift":
            return True
        size = len(argument.expansion)
        if size:
            del stack[-size:]
        _, target = tables[stack[-1]][argument.origin.name]
        stack.append(target)
        if terminal == "$END" and len(stack) == 2:
            return True


def expected_words(accepted: frozenset[str]) -> str:
    """`a value`, `a type`, "`,` or `]`" ... for a set of terminals."""
    if {"STRING", "NUMBER", "LSQB", "NOT"} <= accepted:
        return "a value"
    if {"STRING", "NUMBER", "LBRACE", "NAME"} <= accepted:
        return "the rest of a declaration" if "EQUAL" in accepted else "a type"
    if accepted <= {"STRING", "TEXT"} and accepted:
        return "a string in quotes"
    if accepted == {"NUMBER"}:
        return "a number"
    words: list[str] = []
    after_value = "TILDE" in accepted
    skipped = {"LPAR"} if after_value else set()
    if "IF" in accepted or "NAME" in accepted:
        skipped |= {"ELSE", "VIA", "AS", "FOR", "IMPORT"}
    if "EQUAL" in accepted and "LBRACE" in accepted and "NAME" in accepted:
        return "`=` or `{`"
    if "NAME" in accepted:
        if "RBRACE" in accepted:
            words.append("a setting")
        elif {"WORKER", "SCHEMA"} <= accepted and "AND" not in accepted:
            words.append("a declaration" if "VIA" not in accepted else "a name")
        else:
            words.append("a name")
    words += [text for name, text in _PUNCTUATION.items() if name in accepted - skipped]
    if not words:
        return "the end of the file"
    if len(words) == 1:
        return words[0]
    return ", ".join(words[:-1]) + " or " + words[-1]
