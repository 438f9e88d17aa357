"""The methods of strings that templates and expressions may call, each within its steps.

A closed list: `"...".name` gives what is here, and nothing else that Python's strings have.
Each is paid for by the text it reads and makes (`engine.sema.expressions.metering`) before it runs.
Searching costs what it takes at worst, which is more than the length of the text where a long text
is looked for in it. How texts are formatted is in `engine.sema.expressions.text_formats`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from engine.sema.expressions.metering import (
    CONTAINERS,
    EvaluationError,
    check_text,
    counted,
    current,
    out_of_steps,
    take,
    take_size,
    take_text,
)
from engine.sema.expressions.printing import kind_of, text_of

__all__ = [
    "MAX_WIDTH",
    "TEXT_METHODS",
    "case_changed",
    "check_width",
    "joined",
    "plain_text",
    "replaced",
    "stripped",
    "take_lines",
    "take_search",
]

#: The widest a text may be padded or indented to.
MAX_WIDTH = 10_000

#: Upper and lower case may take up to three characters for one.
_GROWTH = 3
#: Texts from here on are searched in time that grows with both lengths added, not multiplied.
_LONG_TEXT = 30_000
#: Parts of a text that are made for one step.
_PARTS_PER_STEP = 4
_LINE_ENDS = ("\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")


def plain_text(value: Any) -> str:
    """What Python makes of a value as text, for filters that are given no string."""
    if isinstance(value, str):
        return value
    if type(value) in CONTAINERS:
        take_size(value)
        text = str(value)
        check_text(len(text))
        return text
    if value is None or isinstance(value, bool | int | float):
        return str(value)
    return text_of(value)


def check_width(*numbers: Any) -> None:
    """Refuse to pad a text very far.

    Raises:
        EvaluationError: A number is over `MAX_WIDTH`.
    """
    for number in numbers:
        if isinstance(number, int) and number > MAX_WIDTH:
            raise EvaluationError(f"a width of {number} is over the limit of {MAX_WIDTH}")


def take_search(text: str, wanted: Any, *, backwards: bool = False) -> None:
    """Pay for looking for a text in another one."""
    length = len(text)
    if isinstance(wanted, str) and (backwards or length < _LONG_TEXT):
        take(1 + (length * len(wanted) >> 11))
    else:
        take(1 + (length >> 7))


def take_lines(text: str) -> None:
    """Pay for splitting a text into its lines."""
    take(1 + (len(text) >> 5))
    if len(text) > _LONG_TEXT:
        take(sum(map(text.count, _LINE_ENDS)) // _PARTS_PER_STEP)


def replaced(text: str, old: str, new: str, count: int = -1) -> str:
    """`text.replace`."""
    take_search(text, old)
    found = text.count(old) if count < 0 else min(count, text.count(old))
    take_text(len(text) + max(0, found * (len(new) - len(old))))
    return text.replace(old, new, count)


def joined(separator: str, items: Iterable[Any]) -> str:
    """`separator.join`, of anything that prints."""
    parts: list[str] = []
    size = 0
    for item in counted(items, 2):
        parts.append(text_of(item))
        size += len(parts[-1]) + len(separator)
        check_text(size)
    take_text(size)
    return separator.join(parts)


def stripped(method: Callable[..., str], text: str, characters: str | None = None) -> str:
    """`text.strip`, `lstrip` and `rstrip`."""
    take(1 + (len(text) * (1 if characters is None else len(characters)) >> 10))
    return method(text, characters)


def case_changed(method: Callable[[str], str], text: str) -> str:
    """`text.upper` and its like."""
    take(_GROWTH * len(text) >> 5)
    changed = method(text)
    check_text(len(changed))
    return changed


def _read(method: Callable[..., Any], text: str, *args: Any) -> Any:
    """A method that looks at the text once, and makes no more than that."""
    take(1 + (len(text) >> 6) + sum(len(arg) for arg in args if isinstance(arg, tuple)))
    return method(text, *args)


def _find(method: Callable[..., Any], text: str, wanted: str, *args: Any) -> Any:
    take_search(text, wanted)
    return method(text, wanted, *args)


def _find_last(method: Callable[..., Any], text: str, wanted: str, *args: Any) -> Any:
    take_search(text, wanted, backwards=True)
    return method(text, wanted, *args)


def _parted(method: Callable[..., Any], text: str, separator: str) -> Any:
    take_text(len(text))
    return _find_last(method, text, separator)


def _padded(method: Callable[..., str], text: str, width: int, *fill: str) -> str:
    check_width(width)
    take_text(max(len(text), width))
    return method(text, width, *fill)


def _split(
    method: Callable[..., list[str]], text: str, sep: str | None = None, maxsplit: int = -1
) -> list[str]:
    take_text(len(text))
    take_search(text, sep, backwards=method is str.rsplit)
    most = min(current.meter.left * _PARTS_PER_STEP, len(text) + 1)
    parts = method(text, sep, most if maxsplit < 0 else min(maxsplit, most))
    if len(parts) > most:
        raise out_of_steps()
    take(len(parts) // _PARTS_PER_STEP)
    return parts


def _split_lines(text: str, keepends: bool = False) -> list[str]:
    take_lines(text)
    return text.splitlines(keepends)


def _expand_tabs(text: str, tabsize: int = 8) -> str:
    check_width(tabsize)
    take_text(len(text) + text.count("\t") * max(0, tabsize))
    return text.expandtabs(tabsize)


def _translate(text: str, table: Any) -> str:
    if not isinstance(table, dict):
        raise EvaluationError(f"`translate` takes a map of characters, not {kind_of(table)}")
    longest = max((len(new) for new in table.values() if isinstance(new, str)), default=1)
    take(1 + (len(table) >> 3) + (len(text) >> 2))
    take_text(len(text) * max(1, longest))
    return text.translate(table)


def _methods(wrapper: Callable[..., Any], *names: str) -> dict[str, Callable[..., Any]]:
    return {name: partial(wrapper, getattr(str, name)) for name in names}


#: What `text.name(...)` calls, but for `format`, which needs the environment.
TEXT_METHODS: dict[str, Callable[..., Any]] = {
    **_methods(case_changed, "capitalize", "casefold", "lower", "swapcase", "title", "upper"),
    **_methods(_read, "endswith", "removeprefix", "removesuffix", "startswith"),
    **_methods(_read, "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier"),
    **_methods(_read, "islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper"),
    **_methods(_find, "count", "find", "index"),
    **_methods(_find_last, "rfind", "rindex"),
    **_methods(_parted, "partition", "rpartition"),
    **_methods(_padded, "center", "ljust", "rjust", "zfill"),
    **_methods(_split, "rsplit", "split"),
    **_methods(stripped, "lstrip", "rstrip", "strip"),
    "expandtabs": _expand_tabs,
    "join": joined,
    "replace": replaced,
    "splitlines": _split_lines,
    "translate": _translate,
}
