"""The sorts of values that settings have.

Constants (`Int`, `Duration`, `Choice`, ...) are folded when a program is checked. `Text` and
`Computed` stay expressions, evaluated with the names of their scope. `BlockValue` is a nested body.
Which setting has which is in `engine.sema.settings.table`; `engine.sema.settings.constant_settings`
reads them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "BlockValue",
    "Bool",
    "CallPath",
    "Choice",
    "ChoiceOrStrings",
    "Computed",
    "Constant",
    "Duration",
    "Int",
    "Ints",
    "Mode",
    "Modes",
    "Money",
    "Names",
    "NumberValue",
    "Parse",
    "Share",
    "ShareOrNumber",
    "Size",
    "Str",
    "Strings",
    "Text",
    "Value",
    "Words",
    "block_of",
    "written",
]


class Int(msgspec.Struct, frozen=True):
    """A whole number; `200k` counts."""

    minimum: int = 1
    maximum: int | None = None


class NumberValue(msgspec.Struct, frozen=True):
    """An int or a float."""

    minimum: float | None = None
    maximum: float | None = None


class Bool(msgspec.Struct, frozen=True):
    """`true` or `false`."""


class Duration(msgspec.Struct, frozen=True):
    """`30s`, `1h30m`; folded to milliseconds."""


class Money(msgspec.Struct, frozen=True):
    """`$2.50`; folded to micro-dollars."""

    minimum: int = 1


class Size(msgspec.Struct, frozen=True):
    """`20KiB`; folded to bytes."""


class Share(msgspec.Struct, frozen=True):
    """`60%`; folded to 0.6. More than 0 and at most 1."""


class ShareOrNumber(msgspec.Struct, frozen=True):
    """`20%` or `3`: a share folded to 0.2, or a whole number."""


class Str(msgspec.Struct, frozen=True):
    """A literal string, not a template."""


class Strings(msgspec.Struct, frozen=True):
    """A list of literal strings."""


class Ints(msgspec.Struct, frozen=True):
    """A list of whole numbers, not negative."""


class Choice(msgspec.Struct, frozen=True):
    """One of a few words, written bare."""

    options: tuple[str, ...]


class ChoiceOrStrings(msgspec.Struct, frozen=True):
    """One of a few words, written bare, or a list of literal strings."""

    options: tuple[str, ...]


class Words(msgspec.Struct, frozen=True):
    """A list of bare words, such as names of inputs."""


class Names(msgspec.Struct, frozen=True):
    """Names of declared things of certain kinds: one, a list, or either."""

    kinds: tuple[str, ...]
    many: Literal["one", "list", "either"] = "list"


class Mode(msgspec.Struct, frozen=True):
    """A failure mode of the callable it is in."""


class Modes(msgspec.Struct, frozen=True):
    """A list of failure modes."""


class CallPath(msgspec.Struct, frozen=True):
    """`"package.module:function"`."""


class Parse(msgspec.Struct, frozen=True):
    """`json`, `lines`, `text`, or `"package.module:function"`."""


class Constant(msgspec.Struct, frozen=True):
    """Any constant value: numbers, strings, lists, maps of these."""


class Text(msgspec.Struct, frozen=True):
    """A template: a string, `file("x.j2")`, or the name of a declared template."""


class Computed(msgspec.Struct, frozen=True):
    """An expression, evaluated at run time; strings in it are literal.

    Attributes:
        secrets: Whether `secret.NAME` may be in it.
        scope: Which names it sees besides `param`. `call`: the callable's inputs and `task`.
            `response`: the inputs, `response`, `status` and `headers`. `verdict`: `ok`,
            `feedback`, `score`. `inputs`: the inputs alone. `escalate`: `run` and the inputs.
            `plan`: what its place in a plan sees.
            `hook`: what its hook offers. `none`: nothing.
        shape: What must be written: a list, a map, or anything.
        block: The kind of the block that may be written instead, whose `set` is the expression.
    """

    scope: Literal["call", "response", "verdict", "inputs", "escalate", "none", "plan", "hook"] = (
        "call"
    )
    secrets: bool = False
    shape: Literal["any", "list", "map"] = "any"
    block: str | None = None


class BlockValue(msgspec.Struct, frozen=True):
    """A nested body.

    Attributes:
        kind: The kind of the body, a key of `KINDS`.
        label: The kinds of things its label names, or () where it takes none.
        declares: Whether its label is a new name, of the kind that `label` says.
        repeated: Whether the block may occur more than once (with different labels).
        words: What may be written instead of a block, bare: `sandbox = off`.
        several: Whether it may have several labels: it then counts for each of them.
    """

    kind: str
    label: tuple[str, ...] = ()
    repeated: bool = False
    declares: bool = False
    words: tuple[str, ...] = ()
    several: bool = False


Value = (
    Int
    | NumberValue
    | Bool
    | Duration
    | Money
    | Size
    | Share
    | ShareOrNumber
    | Str
    | Strings
    | Ints
    | Words
    | Choice
    | ChoiceOrStrings
    | Names
    | Mode
    | Modes
    | CallPath
    | Parse
    | Constant
    | Text
    | Computed
    | BlockValue
)


def written(sort: Value, value: Any) -> str:
    """A folded value as a person would write it in a file: `120s`, `10MiB`, `60%`."""
    match sort:
        case Duration():
            return _in_units(value, (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)))
        case Size():
            return _in_units(value, (("MiB", 1024**2), ("KiB", 1024), ("B", 1)))
        case Share():
            return f"{value:.0%}"
        case ShareOrNumber():
            return f"{value:.0%}" if isinstance(value, float) else str(value)
        case Money():
            return f"${value / 1_000_000:.2f}"
        case Bool():
            return "true" if value else "false"
        case Ints() | Strings() | Modes() | Words():
            return f"[{', '.join(map(str, value))}]"
        case ChoiceOrStrings() if not isinstance(value, str):
            return f"[{', '.join(map(str, value))}]"
        case BlockValue():
            return "  ".join(f"{name} = {inner}" for name, inner in value.items())
        case Choice() if value != value.lower():
            return f'"{value}"'
    return str(value)


def _in_units(value: int, units: tuple[tuple[str, int], ...]) -> str:
    """A whole number in the largest unit that leaves it whole; seconds stay up to two minutes."""
    for unit, size in units:
        if value % size == 0 and (unit != "m" or value > 120_000):
            return f"{value // size}{unit}"
    return str(value)


def block_of(value: Value) -> str | None:
    """The kind of the body that a setting may be written as, or None."""
    match value:
        case BlockValue(kind=kind):
            return kind
        case Computed(block=block):
            return block
    return None
