"""The one Jinja2 environment: sandboxed, strict, repeatable, and bounded in what it may build.

Every template and expression of a program is carried out here. What differs from plain Jinja2:
undefined names are errors, `a.b` on a map reads the key before any attribute, values print as
JSON (`null`, `true`, `[1,2]`), nothing random is on offer (a run must be repeatable), and no
template can build a text, list or number without bound. Nothing is folded at compile time, so
`{{ "a" * 10**10 }}` costs nothing until it is rendered, and then it is an error.

It holds no program's names: those come with each `Template` and `Expression`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import GeneratorType
from typing import Any

import jinja2
import markupsafe
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import MAX_RANGE, ImmutableSandboxedEnvironment

from engine.errors import OrchError
from engine.sema.suggest import closest, names_list

__all__ = [
    "MAX_TEXT",
    "REMOVED_FILTERS",
    "EvaluationError",
    "OrchEnvironment",
    "explain",
    "fence",
    "json_text",
    "shared_environment",
    "text_of",
]

#: Characters a template, or any text inside an expression, may have at most.
MAX_TEXT = 4 * 1024 * 1024
#: Bits an integer may have at most.
MAX_BITS = 4096
#: The widest a text may be padded or indented to.
MAX_WIDTH = 10_000

#: Jinja2's filters that are not on offer, and why.
REMOVED_FILTERS = {
    "forceescape": "prompts are not HTML; nothing is escaped",
    "pprint": "use `json(indent=2)`",
    "random": "a run must be repeatable",
    "safe": "prompts are not HTML; nothing is escaped",
    "urlize": "prompts are not HTML",
    "xmlattr": "prompts are not HTML",
}
_PADDING_METHODS = frozenset({"center", "expandtabs", "ljust", "rjust", "zfill"})
_WIDTH = re.compile(r"\d{5,}|%[-+ #0]*\*|\.\*|\{[^{}]*\{")


class EvaluationError(OrchError):
    """A template or expression could not be evaluated; `str()` is one sentence."""


class _Undefined(jinja2.StrictUndefined):
    """A name or key that is not there; any use of it raises, in the user's words."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        name = self._undefined_name
        if self._undefined_hint:
            return self._undefined_hint
        if self._undefined_obj is jinja2.utils.missing:
            return f"`{name}` is not defined"
        if self._undefined_obj is None:
            return f"cannot read `{name}` of null"
        if isinstance(self._undefined_obj, Mapping):
            keys = [key for key in self._undefined_obj if isinstance(key, str)]
            near = closest(str(name), keys)
            if near is not None:
                return f"there is no `{name}` here; did you mean `{near}`?"
            return f"there is no `{name}` here; there is {names_list(keys) or 'nothing'}"
        if isinstance(self._undefined_obj, list) and isinstance(name, int):
            return f"there is no item {name} in a list of {len(self._undefined_obj)}"
        return f"{_kind(self._undefined_obj)} has no `{name}`"


def _kind(value: Any) -> str:
    """What a value is called in messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple | GeneratorType | range):
        return "a list"
    return f"a {type(value).__name__}"


def _plain(value: Any) -> Any:
    """JSON's idea of what `json.dumps` does not know."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises with the reason
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, GeneratorType | range | Iterator) or hasattr(value, "__iter__"):
        return list(value)
    raise EvaluationError(f"{_kind(value)} cannot be written as JSON")


def json_text(value: Any, indent: int | None = None) -> str:
    """Compact JSON, non-ASCII kept. Raises EvaluationError for what JSON cannot say."""
    if indent is not None and not 0 <= indent <= 32:
        raise EvaluationError("`json` takes an indent of 0 to 32")
    try:
        return json.dumps(
            value,
            ensure_ascii=False,
            allow_nan=False,
            indent=indent,
            separators=(",", ":") if indent is None else (",", ": "),
            default=_plain,
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise EvaluationError(f"this cannot be written as JSON: {error}") from None


def text_of(value: Any) -> str:
    """How a value prints: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if callable(value):
        raise EvaluationError("a function cannot be printed; call it with `()`")
    return json_text(value)


def fence(content: Any) -> str:
    """Put text from outside between tags it cannot close.

    The tag's id is derived from the content, and is not in it; the same content gives the same
    fence, so prompts stay repeatable.
    """
    text = text_of(content)
    salt = 0
    while True:
        mark = hashlib.sha256(f"{salt}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
        if mark not in text:
            return f'<untrusted id="{mark}">\n{text}\n</untrusted id="{mark}">'
        salt += 1


@jinja2.pass_context
def _finalize(context: Context, value: Any) -> str:
    # It asks for the context only so that Jinja2 evaluates no constant at compile time.
    return text_of(value)


def _check_size(characters: int) -> None:
    if characters > MAX_TEXT:
        raise EvaluationError(f"a text would be longer than {MAX_TEXT // 1024 // 1024} MiB")


def _limited(text: str) -> str:
    _check_size(len(text))
    return text


def _check_width(*numbers: Any) -> None:
    for number in numbers:
        if isinstance(number, int) and number > MAX_WIDTH:
            raise EvaluationError(f"a width of {number} is over the limit of {MAX_WIDTH}")


def _check_format(text: str) -> None:
    if _WIDTH.search(text):
        raise EvaluationError("a format may not ask for a computed or very large width")


def _escape(value: Any) -> str:
    """`escape` as a plain string: markup that spreads its escaping helps no prompt."""
    return str(markupsafe.escape(text_of(value)))


def _center(value: Any, width: int = 80) -> str:
    _check_width(width)
    return text_of(value).center(width)


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    columns = len(width) if isinstance(width, str) else width
    _check_width(columns)
    text = text_of(value)
    _check_size(len(text) + (text.count("\n") + 1) * columns)
    return jinja2.filters.do_indent(text, width, first, blank)


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    text = text_of(value)
    _check_format(text)
    return _limited(jinja2.filters.do_format(text, *args, **kwargs))


def _joined(separator: str, items: Iterable[Any]) -> str:
    parts: list[str] = []
    size = 0
    for item in items:
        parts.append(text_of(item))
        size += len(parts[-1]) + len(separator)
        _check_size(size)
    return separator.join(parts)


@jinja2.pass_environment
def _join(
    env: OrchEnvironment, value: Iterable[Any], d: str = "", attribute: str | int | None = None
) -> str:
    if attribute is not None:
        value = map(jinja2.filters.make_attrgetter(env, attribute), value)
    return _joined(text_of(d), value)


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = text_of(value), text_of(old), text_of(new)
    found = text.count(old) if count is None or count < 0 else min(count, text.count(old))
    _check_size(len(text) + found * (len(new) - len(old)))
    return text.replace(old, new, -1 if count is None else count)


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    """`default` for null too: a field that was left out is null."""
    if value is None or isinstance(value, jinja2.Undefined) or (boolean and not value):
        return default_value
    return value


def _batchable(function: Callable[..., Any]) -> Callable[..., Any]:
    def limited(value: Any, count: int, fill_with: Any = None) -> Any:
        _check_width(count)
        return function(value, count, fill_with)

    return limited


class _Generator(CodeGenerator):
    """Sends `~` to the environment, which bounds it and prints values as templates do."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concatenate((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class OrchEnvironment(ImmutableSandboxedEnvironment):
    """See the module's docstring. Make one with `shared_environment`."""

    code_generator_class = _Generator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, loader: jinja2.BaseLoader | None = None) -> None:
        super().__init__(
            undefined=_Undefined,
            autoescape=False,
            keep_trailing_newline=True,
            optimized=False,
            finalize=_finalize,
            loader=loader,
            cache_size=64,
            auto_reload=False,
        )
        for name in REMOVED_FILTERS:
            del self.filters[name]
        del self.globals["lipsum"]
        self.filters.update(
            {
                "json": json_text,
                "tojson": json_text,
                "untrusted": fence,
                "escape": _escape,
                "e": _escape,
                "string": text_of,
                "center": _center,
                "d": _default,
                "default": _default,
                "indent": _indent,
                "format": _format,
                "join": _join,
                "replace": _replace,
                "batch": _batchable(jinja2.filters.do_batch),
                "slice": _batchable(jinja2.filters.do_slice),
            }
        )

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`: the key of a map first, then what the sandbox allows."""
        if isinstance(obj, Mapping):
            try:
                return obj[attribute]
            except KeyError:
                pass
        return super().getattr(obj, attribute)

    def concatenate(self, parts: tuple[Any, ...]) -> str:
        """`a ~ b`."""
        return _limited("".join([text_of(part) for part in parts]))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function or method, unless it would build something huge."""
        owner = getattr(__obj, "__self__", None)
        name = getattr(__obj, "__name__", "")
        if isinstance(owner, str):
            if name in _PADDING_METHODS:
                _check_width(*args, *kwargs.values())
            elif name == "replace":
                return _replace(owner, *args)
            elif name == "join":
                return _joined(owner, *args)
            elif name in ("format", "format_map"):
                _check_format(owner)
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format`, sandboxed as Jinja2 does and bounded as `format` is."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _check_format(value.__self__)
        return wrapped

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`+ * ** %`, bounded."""
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            _check_format(left)
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, str):
            _limited(result)
        elif isinstance(result, list | tuple) and len(result) > MAX_RANGE * 10:
            raise EvaluationError("a list would be too long")
        return result


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise EvaluationError("a number would be too large")
        return
    for items, times in ((left, right), (right, left)):
        if isinstance(items, str | list | tuple) and isinstance(times, int):
            limit = MAX_TEXT if isinstance(items, str) else MAX_RANGE
            if len(items) * times > limit:
                raise EvaluationError(
                    f"`*` would make {_kind(items)} of {len(items) * times} items"
                )


def _check_power(base: Any, exponent: Any) -> None:
    if (
        isinstance(base, int)
        and isinstance(exponent, int)
        and abs(base) > 1
        and base.bit_length() * abs(exponent) > MAX_BITS
    ):
        raise EvaluationError("a number would be too large")


_shared: list[OrchEnvironment] = []


def shared_environment() -> OrchEnvironment:
    """The environment without a loader: made once, at its first use."""
    if not _shared:
        _shared.append(OrchEnvironment())
    return _shared[0]


def explain(error: BaseException, name: str | None = None) -> EvaluationError:
    """What went wrong while a template or expression ran, as one sentence.

    Args:
        error: The exception that came out.
        name: The name of the template whose lines are worth telling, or None for an expression.
    """
    if isinstance(error, jinja2.TemplateSyntaxError):
        where = f"{error.name or name or 'the template'}, line {error.lineno}: "
        message = error.message or "syntax error"
        return EvaluationError(where + message)
    if isinstance(error, jinja2.TemplateNotFound):
        message = f"cannot find the template {error.name!r}"
    elif isinstance(error, EvaluationError | jinja2.UndefinedError):
        message = str(error)
    elif isinstance(error, SecurityError):
        message = f"not allowed here: {error}"
    elif isinstance(error, RecursionError):
        message = "it is nested too deeply, or calls itself without end"
    elif isinstance(error, MemoryError):
        message = "it needs too much memory"
    elif isinstance(error, ZeroDivisionError):
        message = "division by zero"
    else:
        message = str(error).rstrip(".") or type(error).__name__
    line = _template_line(error) if name is not None else None
    return EvaluationError(f"{line}: {message}" if line else message)


def _template_line(error: BaseException) -> str | None:
    """`name, line 3` for the innermost template the exception came through."""
    found: str | None = None
    frame = error.__traceback__
    while frame is not None:
        template = frame.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(frame.tb_lineno)
            found = f"{template.name}, line {line}" if template.name else f"line {line}"
        frame = frame.tb_next
    return found
