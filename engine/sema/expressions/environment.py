"""The one Jinja2 environment: sandboxed, strict, repeatable, and bounded in all it does.

Every template and expression of a program runs here. There are differences from plain Jinja2.
Undefined names are errors. `a.b` on a map reads the key before any attribute. Values print as JSON
(`null`, `true`, `[1,2]`). Nothing random is available, because a run must be repeatable. Each
evaluation has a limited number of steps (`engine.sema.expressions.metering`). Nothing is folded at
compile time, so `{{ "a" * 10**10 }}` costs nothing until it is rendered, and then it is an error.

What values offer is a closed list (`_attribute`, `TEXT_METHODS`), as are filters and tests
(`engine.sema.expressions.filters`) and the functions below: nothing of Python is reached but what
is there, and each of them is bounded. It holds no program's names: those come with each
`Template` and `Expression`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import CodeType
from typing import Any

import jinja2
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.runtime import (
    BlockReference,
    Context,
    LoopContext,
    Macro,
    TemplateReference,
    new_context,
)
from jinja2.sandbox import MAX_RANGE, ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from engine.sema.expressions.filters import FILTERS, REMOVED_FILTERS, TESTS, add, holds, take_key
from engine.sema.expressions.generator import Generator
from engine.sema.expressions.metering import (
    CONTAINERS,
    MAX_TEXT,
    EvaluationError,
    Meter,
    counted,
    counted_list,
    current,
    take,
    take_size,
    take_text,
)
from engine.sema.expressions.printing import fence, json_text, kind_of, text_of
from engine.sema.expressions.text_formats import fill_braces, fill_percents
from engine.sema.expressions.text_methods import TEXT_METHODS
from engine.sema.suggest import closest, names_list

__all__ = [
    "MAX_TEXT",
    "REMOVED_FILTERS",
    "EvaluationError",
    "OrchEnvironment",
    "OrchTemplate",
    "explain",
    "fence",
    "json_text",
    "shared_environment",
    "text_of",
]

#: Bits an integer may have at most.
MAX_BITS = 4096
#: Steps of opening an included or imported file, and the longest name of one.
_OPENING = 50
#: What is said of a failure at most: the words may be those of a value.
_MAX_MESSAGE = 500
_MAX_NAME = 1_000


class _Undefined(jinja2.StrictUndefined):
    """A name or key that is not there; any use of it raises, in the user's words."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name: Any = self._undefined_name
        if isinstance(name, str):
            name = _short(name)
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
        return f"{kind_of(self._undefined_obj)} has no `{name}`"


# ---------------------------------------------------------------- what values offer


def _is_in(items: Any, *wanted: Any) -> Any:
    """Pay for looking for something in a list."""
    for item in wanted:
        take_size(item)
    take(len(items) * (1 + len(wanted)))
    take_size(items)


def _index(items: Any, *args: Any) -> Any:
    _is_in(items, *args)
    return items.index(*args)


def _count(items: Any, *args: Any) -> Any:
    _is_in(items, *args)
    return items.count(*args)


def _get(map_: Mapping[Any, Any], key: Any, default: Any = None) -> Any:
    take_key(key)
    return map_.get(key, default)


def _changed(loop: LoopContext, *values: Any) -> bool:
    take_size(values)
    return loop.changed(*values)


_MAP_METHODS: dict[str, Callable[..., Any]] = {
    "get": _get,
    "items": lambda map_: counted_list(map_.items()),
    "keys": counted_list,
    "values": lambda map_: counted_list(map_.values()),
}
_LIST_METHODS: dict[str, Callable[..., Any]] = {"count": _count, "index": _index}
_LOOP_METHODS: dict[str, Callable[..., Any]] = {"changed": _changed}
_LOOP = "cycle depth depth0 first index index0 last length nextitem previtem revindex revindex0"
#: What may be read of the objects that templates themselves make.
_READABLE: dict[type, frozenset[str]] = {
    BlockReference: frozenset({"super"}),
    Cycler: frozenset({"current", "next", "reset"}),
    LoopContext: frozenset(_LOOP.split()),
    Macro: frozenset({"arguments", "caller", "catch_kwargs", "catch_varargs", "name"}),
}


def _attribute(value: Any, name: str) -> Any:
    """What `value.name` is where it is not a key of a map.

    Raises:
        AttributeError: There is no such thing.
    """
    kind = type(value)
    if isinstance(value, str):
        methods = TEXT_METHODS
    elif isinstance(value, Mapping):
        methods = _MAP_METHODS
    elif isinstance(value, list | tuple):
        methods = _LIST_METHODS
        if name in getattr(kind, "_fields", ()):  # what `groupby` gives
            return getattr(value, name)
    else:
        methods = _LOOP_METHODS if kind is LoopContext else {}
    if name in methods:
        return partial(methods[name], value)
    is_open = kind is Namespace or kind is TemplateModule
    if name in _READABLE.get(kind, ()) or (is_open and not name.startswith("_")):
        return getattr(value, name)
    raise AttributeError(name)


# ---------------------------------------------------------------- functions


def _range(*args: Any) -> range:
    made = range(*args)
    if len(made) > MAX_RANGE:
        raise EvaluationError(f"a range would be longer than {MAX_RANGE}")
    return made


def _dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    """`dict`, of a map or of pairs."""
    if len(args) > 1:
        raise EvaluationError("`dict` takes one map, or pairs")
    made: dict[Any, Any] = {}
    for arg in args:
        pairs = arg.items() if isinstance(arg, Mapping) else arg
        for key, value in counted(pairs):
            take_key(key)
            made[key] = value
    made.update(kwargs)
    current.meter.shares = True
    return made


def _namespace(*args: Any, **kwargs: Any) -> Namespace:
    return Namespace(_dict(*args, **kwargs))


#: The functions that are always there.
_GLOBALS: dict[str, Any] = {
    "cycler": Cycler,
    "dict": _dict,
    "joiner": Joiner,
    "namespace": _namespace,
    "range": _range,
}
_CALLABLE = (BlockReference, Joiner, LoopContext, Macro)
#: Told apart from maps at once, for they are read all the time.
_NO_MAPS = frozenset({LoopContext, Macro, Namespace, list, str, tuple})


# ---------------------------------------------------------------- the environment


@jinja2.pass_context
def _finalize(context: Context, value: Any) -> str:
    # It asks for the context only so that Jinja2 evaluates no constant at compile time.
    return value if type(value) is str else text_of(value)


class OrchTemplate(jinja2.Template):
    """A template whose module, where it is imported, belongs to one evaluation."""

    @classmethod
    def of(
        cls, environment: OrchEnvironment, code: CodeType, variables: Mapping[str, Any]
    ) -> OrchTemplate:
        """The template that was compiled, with names that are always there."""
        made = cls.from_code(environment, code, environment.make_globals(dict(variables)))
        assert isinstance(made, cls)
        return made

    def in_scope(self, scope: Mapping[str, Any]) -> Context:
        """The context of one evaluation."""
        # Jinja2 makes a map of its own of it.
        vars: Any = scope
        return new_context(self.environment, self.name, self.blocks, vars, False, self.globals)

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        # Jinja2 keeps it: a namespace in it would be changed from one evaluation to the next.
        keys = ctx.globals_keys - self.globals.keys() if ctx is not None else ()
        return self.make_module({key: ctx.parent[key] for key in keys} if ctx is not None else None)


class OrchEnvironment(ImmutableSandboxedEnvironment):
    """See the module's docstring. Make one with `shared_environment`."""

    code_generator_class = Generator
    template_class = OrchTemplate
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
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)
        self.globals = dict(_GLOBALS)
        self.concat = _concat  # type: ignore[method-assign]

    # ------------------------------------------------------------ fields, items, parts

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`: the key of a map first, then what its kind offers."""
        kind = type(obj)
        if kind is dict or (kind not in _NO_MAPS and isinstance(obj, Mapping)):
            try:
                return obj[attribute]
            except KeyError:
                pass
        elif isinstance(obj, jinja2.Undefined):
            str(obj)  # raises with the reason
        try:
            if kind is TemplateReference:
                return obj[attribute]
            if attribute == "format" and isinstance(obj, str):
                return partial(self._braces, obj)
            return _attribute(obj, attribute)
        except (AttributeError, KeyError):
            return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`."""
        if type(argument) is tuple:
            take_key(argument)
        try:
            return obj[argument]
        except (TypeError, LookupError):
            pass
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        take_key(argument)
        return self.undefined(obj=obj, name=argument)

    def _braces(self, text: str, /, *args: Any, **kwargs: Any) -> str:
        return fill_braces(self, text, args, kwargs)

    def part(self, obj: Any, start: Any, stop: Any, step: Any) -> Any:
        """`obj[start:stop:step]`."""
        if isinstance(obj, str):
            take_text(len(obj))
        elif type(obj) in CONTAINERS:
            take(len(obj) // 8)
        return obj[start:stop:step]

    # ------------------------------------------------------------ what compiled code asks for

    def meter(self) -> Meter:
        """The meter of the evaluation that is under way."""
        return current.meter

    def take(self, steps: int) -> bool:
        """Pay, as an expression."""
        take(steps)
        return True

    def made(self, value: Any) -> Any:
        """A list or map that was made in the template, and may hold something twice."""
        current.meter.shares = True
        return value

    def key(self, value: Any) -> Any:
        """A key of a map that is made."""
        take_key(value)
        return value

    def weighed(self, value: Any) -> Any:
        """A side of a comparison."""
        if type(value) in CONTAINERS or isinstance(value, str):
            take_size(value)
        return value

    def holds(self, value: Any, seq: Any) -> bool:
        """`value in seq`."""
        return holds(value, seq)

    def concatenate(self, parts: tuple[Any, ...]) -> str:
        """`a ~ b`."""
        return _concat([text_of(part) for part in parts])

    # ------------------------------------------------------------ calls and operators

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what may be called: what is on offer here, and what the template or file made."""
        if type(__obj) is partial:
            kwargs.pop("_loop_vars", None)
            kwargs.pop("_block_vars", None)
            return __obj(*args, **kwargs)
        if isinstance(__obj, jinja2.Undefined):
            str(__obj)  # raises with the reason
        if args or kwargs:
            take(1 + len(args) + len(kwargs))
            current.meter.shares = True
        if not _may_be_called(__obj):
            raise SecurityError(f"{kind_of(__obj)} cannot be called")
        return __context.call(__obj, *args, **kwargs)

    def call_filter(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A filter by its name, as `map` does."""
        if not isinstance(name, str):
            raise EvaluationError(f"{kind_of(name)} is not a filter's name")
        return super().call_filter(name, *args, **kwargs)

    def call_test(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A test by its name, as `select` does."""
        if not isinstance(name, str):
            raise EvaluationError(f"{kind_of(name)} is not a test's name")
        return super().call_test(name, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`+ * ** %`, bounded."""
        if operator == "+":
            return add(left, right)
        if operator == "%" and isinstance(left, str):
            return fill_percents(left, right)
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        return self.binop_table[operator](left, right)

    def _load_template(self, name: Any, globals: Any) -> jinja2.Template:
        take(_OPENING)
        if isinstance(name, str) and len(name) > _MAX_NAME:
            raise EvaluationError("a template's name would be very long")
        if not isinstance(name, str):
            raise EvaluationError(f"{kind_of(name)} is not a template's name")
        return super()._load_template(name, globals)


def _may_be_called(function: Any) -> bool:
    kind = type(function)
    if kind in _CALLABLE or getattr(kind, "is_template_function", False):
        return True
    if function in (Cycler, Joiner, _dict, _namespace, _range):
        return True
    return type(getattr(function, "__self__", None)) in _READABLE


def _concat(parts: Iterable[str]) -> str:
    """Pieces of a text put together, paid for."""
    pieces = parts if isinstance(parts, list) else list(counted(parts))
    take_text(sum(map(len, pieces)))
    return "".join(pieces)


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise EvaluationError("a number would be too large")
        return
    for items, times in ((left, right), (right, left)):
        if isinstance(items, str | list | tuple) and isinstance(times, int):
            size = len(items) * max(0, times)
            if size > (MAX_TEXT if isinstance(items, str) else MAX_RANGE):
                raise EvaluationError(f"`*` would make {kind_of(items)} of {size} items")
            take(1 + size // (64 if isinstance(items, str) else 8))
            current.meter.shares = True


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
    message = _short(message, _MAX_MESSAGE)
    line = _template_line(error) if name is not None else None
    return EvaluationError(f"{line}: {message}" if line else message)


def _short(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


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
