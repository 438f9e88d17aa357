"""The filters and tests of templates and expressions: closed lists, each within its steps.

What is not here does not exist, whatever a version of Jinja2 brings. Most are Jinja2's own, behind
a function that pays (`engine.sema.expressions.metering`) for what they will read, compare and make;
what could not be bounded from outside (numbers, sums, formats, sorting) is written again to the
same meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

import jinja2
import markupsafe
from jinja2 import filters as theirs
from jinja2 import pass_context, pass_environment
from jinja2.runtime import Context
from jinja2.tests import TESTS as THEIR_TESTS
from jinja2.utils import _PassArg, url_quote

from engine.sema.expressions.metering import (
    CONTAINERS,
    EvaluationError,
    counted,
    counted_list,
    current,
    paid,
    take,
    take_size,
    take_text,
    weight,
)
from engine.sema.expressions.printing import fence, json_text, kind_of, text_of
from engine.sema.expressions.text_formats import fill_percents
from engine.sema.expressions.text_methods import (
    TEXT_METHODS,
    case_changed,
    check_width,
    joined,
    plain_text,
    replaced,
    stripped,
    take_lines,
    take_search,
)

__all__ = ["FILTERS", "REMOVED_FILTERS", "TESTS", "add", "holds"]

#: Jinja2's filters that are not on offer, and why.
REMOVED_FILTERS = {
    "forceescape": "prompts are not HTML; nothing is escaped",
    "pprint": "use `json(indent=2)`",
    "random": "a run must be repeatable",
    "safe": "prompts are not HTML; nothing is escaped",
    "urlize": "prompts are not HTML",
    "xmlattr": "prompts are not HTML",
}

#: Items a list may have at most.
MAX_ITEMS = 1_000_000
#: The longest text that is read as a number, and the most digits one is rounded to.
_NUMBER_TEXT = 4_096
_DIGITS = 400
#: What `escape` may make of a character, and `urlencode` of one in UTF-8.
_ESCAPED = {"&": 4, "<": 3, ">": 3, "'": 4, '"': 4}
_QUOTED = 12

_NUMBERS = frozenset({bool, float, int})
#: What takes time to compare.
_SIZED = CONTAINERS | {str}

Function = Callable[..., Any]


# ---------------------------------------------------------------- texts


def _escape(value: Any) -> str:
    """`escape` as a plain string: markup that spreads its escaping helps no prompt."""
    text = text_of(value)
    take_text(len(text) + sum(text.count(char) * more for char, more in _ESCAPED.items()))
    return str(markupsafe.escape(text))


def _center(value: Any, width: int = 80) -> str:
    text: str = TEXT_METHODS["center"](text_of(value), width)
    return text


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    columns = len(width) if isinstance(width, str) else width
    check_width(columns)
    text = text_of(value)
    take_text(len(text) + (text.count("\n") + 1) * max(0, columns))
    take_lines(text)
    return theirs.do_indent(text, width, first, blank)


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise EvaluationError("`format` takes values by place or by name, not both")
    return fill_percents(text_of(value), kwargs or args)


@pass_environment
def _join(
    env: jinja2.Environment,
    value: Iterable[Any],
    d: str = "",
    attribute: str | int | None = None,
) -> str:
    if attribute is not None:
        value = map(_reader(env, attribute), paid(value, _parts(attribute)))
    return joined(text_of(d), value)


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    return replaced(text_of(value), text_of(old), text_of(new), -1 if count is None else count)


def _lower(s: Any) -> str:
    return case_changed(str.lower, plain_text(s))


def _upper(s: Any) -> str:
    return case_changed(str.upper, plain_text(s))


def _capitalize(s: Any) -> str:
    return case_changed(str.capitalize, plain_text(s))


def _title(s: Any) -> str:
    text = plain_text(s)
    take(len(text) >> 1)
    return theirs.do_title(text)


def _trim(value: Any, chars: str | None = None) -> str:
    return stripped(str.strip, plain_text(value), chars)


def _striptags(value: Any) -> str:
    text = plain_text(value)
    # Each tag that is taken out copies the rest.
    take((text.count("<") + 1) * (1 + (len(text) >> 10)) + (len(text) >> 3))
    return theirs.do_striptags(text)


@pass_environment
def _truncate(
    env: jinja2.Environment,
    s: str,
    length: int = 255,
    killwords: bool = False,
    end: str = "...",
    leeway: int | None = None,
) -> str:
    take_text(len(s))
    return theirs.do_truncate(env, s, length, killwords, end, leeway)


def _urlencode(value: Any) -> str:
    if isinstance(value, dict):
        take_size(value)
        pairs: Any = value.items()
    elif isinstance(value, str) or not isinstance(value, Iterable):
        return _quoted(value, for_qs=False)
    else:
        pairs = counted(value)
    return "&".join(
        [f"{_quoted(key, for_qs=True)}={_quoted(item, for_qs=True)}" for key, item in pairs]
    )


def _quoted(value: Any, *, for_qs: bool) -> str:
    text = plain_text(value)
    take(len(text) >> 2)
    if not text.isalnum() or not text.isascii():
        take_text(len(text) * (3 if text.isascii() else _QUOTED))
    return url_quote(text, for_qs=for_qs)


def _wordcount(s: Any) -> int:
    text = plain_text(s)
    take(len(text) >> 2)
    return theirs.do_wordcount(text)


@pass_environment
def _wordwrap(
    environment: jinja2.Environment,
    s: str,
    width: int = 79,
    break_long_words: bool = True,
    wrapstring: str | None = None,
    break_on_hyphens: bool = True,
) -> str:
    take(len(s))
    lines = s.count("\n") + 2 * len(s) // max(1, width) + 1
    take_text(len(s) + lines * len(wrapstring or "\n"))
    return theirs.do_wordwrap(environment, s, width, break_long_words, wrapstring, break_on_hyphens)


# ---------------------------------------------------------------- numbers


def _number(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    raise EvaluationError(f"{kind_of(value)} is not a number")


def _int(value: Any, default: Any = 0, base: int = 10) -> Any:
    return default if _is_long(value) else theirs.do_int(value, default, base)


def _float(value: Any, default: Any = 0.0) -> Any:
    return default if _is_long(value) else theirs.do_float(value, default)


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and len(value) > _NUMBER_TEXT


def _abs(x: Any, /) -> Any:
    return abs(_number(x))


def _round(value: Any, precision: int = 0, method: Any = "common") -> Any:
    if not isinstance(precision, int) or abs(precision) > _DIGITS:
        raise EvaluationError(f"`round` takes a precision of at most {_DIGITS}")
    return theirs.do_round(_number(value), precision, method)


def _filesizeformat(value: Any, binary: bool = False) -> str:
    return theirs.do_filesizeformat(_number(_float(value, None)), binary)


# ---------------------------------------------------------------- lists


def _parts(attribute: Any) -> int:
    """What reading an attribute such as `a.b` of an item takes, in steps."""
    if not isinstance(attribute, str):
        return 1
    return 2 + attribute.count(".") + attribute.count(",")


def _take_comparisons(keys: Iterable[Any], rounds: int) -> None:
    """Pay for comparing keys with one another, each so many times."""
    total = 0
    for key in counted(keys):
        kind = type(key)
        if kind is str or kind in CONTAINERS:
            total += weight(key)
    take(total * rounds)


def _sort_rounds(items: list[Any]) -> int:
    """How often sorting compares an item, about."""
    rounds = max(1, len(items).bit_length())
    take(len(items) * rounds // 8)
    return rounds


@pass_environment
def _sort(
    environment: jinja2.Environment,
    value: Iterable[Any],
    reverse: bool = False,
    case_sensitive: bool = False,
    attribute: str | int | None = None,
) -> list[Any]:
    items = counted_list(value)
    take(len(items) * _parts(attribute))
    postprocess = None if case_sensitive else theirs.ignore_case
    key_of = theirs.make_multi_attrgetter(environment, attribute, postprocess)
    keys = [key_of(item) for item in items]
    _take_comparisons(keys, _sort_rounds(items))
    order = sorted(range(len(items)), key=keys.__getitem__, reverse=reverse)
    return [items[index] for index in order]


def _dictsort(
    value: Mapping[Any, Any],
    case_sensitive: bool = False,
    by: Any = "key",
    reverse: bool = False,
) -> list[tuple[Any, Any]]:
    keys = counted_list(value.values() if by == "value" else value)
    _take_comparisons(keys, _sort_rounds(keys))
    return theirs.do_dictsort(value, case_sensitive, by, reverse)


@pass_environment
def _groupby(
    environment: jinja2.Environment,
    value: Iterable[Any],
    attribute: str | int,
    default: Any = None,
    case_sensitive: bool = False,
) -> list[Any]:
    items = counted_list(value)
    take(2 * len(items) * _parts(attribute))
    key_of = _reader(environment, attribute, default)
    # Sorted, and then compared with its neighbour.
    _take_comparisons(map(key_of, items), _sort_rounds(items) + 1)
    return list(theirs.sync_do_groupby(environment, items, attribute, default, case_sensitive))


def _extreme(function: Function) -> Function:
    @wraps(function)
    def bounded(
        environment: jinja2.Environment,
        value: Iterable[Any],
        case_sensitive: bool = False,
        attribute: str | int | None = None,
    ) -> Any:
        items = counted_list(value)
        take(2 * len(items) * _parts(attribute))
        key_of = _reader(environment, attribute)
        _take_comparisons(map(key_of, items), 1)
        return function(environment, items, case_sensitive, attribute)

    return bounded


@pass_environment
def _unique(
    environment: jinja2.Environment,
    value: Iterable[Any],
    case_sensitive: bool = False,
    attribute: str | int | None = None,
) -> Iterable[Any]:
    postprocess = None if case_sensitive else theirs.ignore_case
    key_of = theirs.make_attrgetter(environment, attribute, postprocess)
    seen = set()
    for item in counted(value, 1 + _parts(attribute)):
        key = key_of(item)
        if type(key) in CONTAINERS:
            take_size(key)
        if key not in seen:
            seen.add(key)
            yield item


@pass_environment
def _sum(
    environment: jinja2.Environment,
    iterable: Iterable[Any],
    attribute: str | int | None = None,
    start: Any = 0,
) -> Any:
    items = paid(iterable, _parts(attribute))
    if attribute is not None:
        items = map(_reader(environment, attribute), items)
    values = list(items)
    if _NUMBERS.issuperset(map(type, values)) and isinstance(start, int | float):
        return sum(values, start)
    total = start
    for value in values:
        total = add(total, value)
    return total


def add(left: Any, right: Any) -> Any:
    """`left + right`."""
    if isinstance(left, str) and isinstance(right, str):
        take_text(len(left) + len(right))
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        items = len(left) + len(right)
        if items > MAX_ITEMS:
            raise EvaluationError("a list would be too long")
        take(1 + items // 8)
        current.meter.shares = True
    return left + right


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    """`default` for null too: a field that was left out is null."""
    if value is None or isinstance(value, jinja2.Undefined) or (boolean and not value):
        return default_value
    return value


def _batchable(function: Function) -> Function:
    def limited(value: Any, count: int, fill_with: Any = None) -> Any:
        check_width(count)
        current.meter.shares = True
        take(max(0, count) // 4)
        return counted(function(counted(value), count, fill_with))

    return limited


def _reader(environment: jinja2.Environment, attribute: Any, default: Any = None) -> Function:
    """What reads an attribute such as `a.b` of an item."""
    is_plain = isinstance(attribute, str) and "." not in attribute and not attribute.isdigit()
    if not is_plain or default is not None:
        return theirs.make_attrgetter(environment, attribute, default=default)
    getitem = environment.getitem

    def read(item: Any) -> Any:
        if type(item) is dict:
            try:
                return item[attribute]
            except KeyError:
                pass
        return getitem(item, attribute)

    return read


def _for_items(context: Context, kind: str, name: Any, args: Any, kwargs: Any) -> Function:
    """A filter or test by its name, to be called with one item after the other."""
    environment = context.environment
    known = environment.filters if kind == "filter" else environment.tests
    function: Any = known.get(name) if isinstance(name, str) else None
    if function is None:
        shown = f"`{name}`" if isinstance(name, str) else f"that is {kind_of(name)}"
        raise EvaluationError(f"there is no {kind} {shown}")
    match _PassArg.from_obj(function):
        case None:
            return lambda item: function(item, *args, **kwargs)
        case _PassArg.context:
            return lambda item: function(context, item, *args, **kwargs)
        case _:
            return lambda item: function(environment, item, *args, **kwargs)


@pass_context
def _map(context: Context, value: Any, *args: Any, **kwargs: Any) -> Iterable[Any]:
    if not value:
        return ()
    current.meter.shares = True
    if args:
        name, *rest = args
        convert = _for_items(context, "filter", name, rest, kwargs)
        return map(convert, paid(value, 2 + len(rest)))
    attribute, default = kwargs.pop("attribute", None), kwargs.pop("default", None)
    if attribute is None or kwargs:
        raise EvaluationError("`map` takes the name of a filter, or an `attribute`")
    return map(_reader(context.environment, attribute, default), paid(value, _parts(attribute)))


def _selecting(keeps: bool, by_attribute: bool) -> Function:
    """`select` and `selectattr`, `reject` and `rejectattr`."""

    @pass_context
    def select(context: Context, value: Any, *args: Any, **kwargs: Any) -> Iterable[Any]:
        if not value:
            return ()
        steps = 2 + len(args)
        read: Function | None = None
        if by_attribute:
            if not args:
                raise EvaluationError("an attribute to select by is missing")
            read = _reader(context.environment, args[0])
            steps += _parts(args[0])
            args = args[1:]
        test: Function = bool
        if args:
            test = _for_items(context, "test", args[0], args[1:], kwargs)
        items = paid(value, steps)
        if read is None:
            return (item for item in items if bool(test(item)) is keeps)
        return (item for item in items if bool(test(read(item))) is keeps)

    return select


@pass_environment
def _attr(environment: jinja2.Environment, obj: Any, name: Any) -> Any:
    if not isinstance(name, str):
        raise EvaluationError(f"{kind_of(name)} is not an attribute's name")
    return theirs.do_attr(environment, obj, name)


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    return counted(theirs.do_items(value))


def _reverse(value: Any) -> Any:
    if isinstance(value, str):
        take_text(len(value))
        return value[::-1]
    try:
        return counted(reversed(value))
    except TypeError:
        return counted_list(value)[::-1]


#: All filters, by name.
FILTERS: dict[str, Function] = {
    "abs": _abs,
    "attr": _attr,
    "batch": _batchable(theirs.do_batch),
    "capitalize": _capitalize,
    "center": _center,
    "count": len,
    "d": _default,
    "default": _default,
    "dictsort": _dictsort,
    "e": _escape,
    "escape": _escape,
    "filesizeformat": _filesizeformat,
    "first": theirs.sync_do_first,
    "float": _float,
    "format": _format,
    "groupby": _groupby,
    "indent": _indent,
    "int": _int,
    "items": _items,
    "join": _join,
    "json": json_text,
    "last": theirs.do_last,
    "length": len,
    "list": counted_list,
    "lower": _lower,
    "map": _map,
    "max": _extreme(theirs.do_max),
    "min": _extreme(theirs.do_min),
    "reject": _selecting(False, False),
    "rejectattr": _selecting(False, True),
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "select": _selecting(True, False),
    "selectattr": _selecting(True, True),
    "slice": _batchable(theirs.sync_do_slice),
    "sort": _sort,
    "string": text_of,
    "striptags": _striptags,
    "sum": _sum,
    "title": _title,
    "tojson": json_text,
    "trim": _trim,
    "truncate": _truncate,
    "unique": _unique,
    "untrusted": fence,
    "upper": _upper,
    "urlencode": _urlencode,
    "wordcount": _wordcount,
    "wordwrap": _wordwrap,
}


# ---------------------------------------------------------------- tests


def holds(value: Any, seq: Any) -> bool:
    """`value in seq`."""
    if isinstance(seq, str):
        take_search(seq, value)
    elif isinstance(seq, Mapping):
        take_key(value)
    elif type(seq) in CONTAINERS:
        each = weight(value) if type(value) in CONTAINERS or isinstance(value, str) else 0
        take(len(seq) * (1 + 8 * each) // 8)
    elif not isinstance(seq, range):
        seq = counted(seq)
    return value in seq


def take_key(value: Any) -> None:
    """Refuse what is not a key of a map: a tuple may hold others without end."""
    if type(value) in CONTAINERS:
        raise EvaluationError(f"{kind_of(value)} is not a key")


def _compared(function: Function) -> Function:
    @wraps(function)
    def bounded(value: Any, other: Any) -> Any:
        if type(value) in _SIZED and type(other) in _SIZED:
            take_size(value)
            take_size(other)
        return function(value, other)

    return bounded


def _of_number(function: Function) -> Function:
    @wraps(function)
    def bounded(value: Any, *args: Any) -> Any:
        return function(_number(value), *map(_number, args))

    return bounded


def _is_case(method: Callable[[str], bool]) -> Function:
    def bounded(value: Any) -> bool:
        return method(plain_text(value))

    return bounded


@pass_environment
def _is_filter(env: jinja2.Environment, value: Any) -> bool:
    return isinstance(value, str) and value in env.filters


@pass_environment
def _is_test(env: jinja2.Environment, value: Any) -> bool:
    return isinstance(value, str) and value in env.tests


_PLAIN_TESTS = (
    "boolean callable defined escaped false float integer iterable mapping none number sameas "
    "sequence string true undefined"
)
_NUMBER_TESTS = "divisibleby even odd"
_COMPARISONS = "!= < <= == > >= eq equalto ge greaterthan gt le lessthan lt ne"
_their_tests: dict[str, Any] = dict(THEIR_TESTS)

#: All tests, by name.
TESTS: dict[str, Function] = {
    **{name: _their_tests[name] for name in _PLAIN_TESTS.split()},
    **{name: _of_number(_their_tests[name]) for name in _NUMBER_TESTS.split()},
    **{name: _compared(_their_tests[name]) for name in _COMPARISONS.split()},
    "filter": _is_filter,
    "in": holds,
    "lower": _is_case(str.islower),
    "test": _is_test,
    "upper": _is_case(str.isupper),
}
