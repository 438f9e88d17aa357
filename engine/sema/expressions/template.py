"""Templates: prompts, goals and messages, compiled at first use, sandboxed and bounded.

A `Template` is its text, the names every rendering sees (`param`, named templates) and a way to
load what it includes. Compiled code is kept by text, so the same prompt under two runs compiles
once. Whether a template is right is `engine.sema.templates.check_template`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from types import CodeType, TracebackType
from typing import Any

import jinja2
from jinja2 import meta

from engine.sema.expressions.compiler import Expression
from engine.sema.expressions.environment import (
    OrchEnvironment,
    OrchTemplate,
    explain,
    shared_environment,
)
from engine.sema.expressions.metering import (
    UNBOUNDED,
    EvaluationError,
    check_text,
    current,
    take_text,
)
from engine.sema.expressions.positions import TemplateFault, parse_template
from engine.sema.expressions.tracing import innermost, line_range, range_in
from engine.source import SourceFile, Span

__all__ = ["EvaluationError", "Expression", "Piece", "Template", "TemplateFunction"]

#: A piece of a template's text: how long it is, and where a range of offsets in it is written.
Piece = tuple[int, Callable[[int, int], Span]]


@lru_cache(maxsize=1024)
def _compile(text: str, name: str) -> CodeType:
    return shared_environment().compile(text, name=name, filename=None)


@lru_cache(maxsize=1024)
def _names(text: str) -> frozenset[str]:
    try:
        return frozenset(meta.find_undeclared_variables(parse_template(text)))
    except (jinja2.TemplateError, TemplateFault, RecursionError):
        return frozenset()


class Template:
    """One template, ready to be rendered any number of times.

    Args:
        text: The source of the template.
        variables: Names every rendering sees besides its scope, such as `param`.
        load: The text of a template that is included or imported, by the name written there;
            None if there is none. Without it nothing can be included.
        name: What messages call it.
        pieces: Where it is written: the length of each piece of the text, and the span of a range
            of offsets in that piece.
        source: The file of a template that is included, by the name written there.

    Attributes:
        text: The source of the template.
        names: The names it reads from its scope (also those in `variables`).
    """

    def __init__(
        self,
        text: str,
        variables: Mapping[str, Any] | None = None,
        load: Callable[[str], str | None] | None = None,
        name: str = "template",
        *,
        pieces: Sequence[Piece] = (),
        source: Callable[[str], SourceFile | None] | None = None,
    ) -> None:
        self.text = text
        self.name = name
        self._pieces = tuple(pieces)
        self._source = source
        self._variables = dict(variables or {})
        self._load = load

    def __repr__(self) -> str:
        return f"Template({self.text[:40]!r})"

    @property
    def variables(self) -> Mapping[str, Any]:
        """The names every rendering sees besides its scope."""
        return self._variables

    def seeing(self, variables: Mapping[str, Any], name: str) -> Template:
        """The same text under another name, whose renderings see other names."""
        return Template(
            self.text, variables, self._load, name, pieces=self._pieces, source=self._source
        )

    def source_of(self, name: str) -> str | None:
        """The text of a template that this one includes, or None if there is none."""
        return None if self._load is None else self._load(name)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names it reads from its scope; those of included files are not in it."""
        return _names(self.text)

    @cached_property
    def _compiled(self) -> OrchTemplate:
        environment = shared_environment()
        if self._load is not None and "{%" in self.text:
            environment = OrchEnvironment(jinja2.FunctionLoader(self._load))
            # An imported file sees no scope, but the program's own names anyway.
            environment.globals.update(self._variables)
        return OrchTemplate.of(environment, _compile(self.text, self.name), self._variables)

    def render(self, scope: Mapping[str, Any]) -> str:
        """The text in a scope.

        Raises:
            EvaluationError: If a name or field is not there, an operation is not possible, the
                text would be longer than 4 MiB, or it takes too many steps.
        """
        if "{" not in self.text:
            return self.text
        meter = current.meter
        begins = meter.begin()
        try:
            template = self._compiled
            parts = list(template.root_render_func(template.in_scope(scope)))
            size = sum(map(len, parts))
            check_text(size)
            if not begins:
                take_text(size)
            return "".join(parts)
        # Whatever Jinja2 or a filter raises is the program's fault, told in its words.
        except Exception as error:
            told = explain(error, self.name)
            told.span = self._place(error)
            raise told from None
        finally:
            if begins:
                meter.left = UNBOUNDED

    def span(self, start: int, end: int) -> Span | None:
        """Where a range of offsets of its text is written, if that is known."""
        for number, (length, piece) in enumerate(self._pieces, 1):
            if start < length or number == len(self._pieces):
                return piece(min(start, length), min(max(start, end), length))
            start, end = start - length, end - length
        return None

    def _place(self, error: BaseException) -> Span | None:
        """The part of it, or of what it includes, that an exception came from."""
        if isinstance(error, EvaluationError) and error.span is not None:
            return error.span  # of a template that it calls
        way = innermost(error)
        if way is None:
            return None
        at, template = way
        if template is self.__dict__.get("_compiled"):
            found = range_in(self.text, at) or line_range(self.text, _line(template, at))
            return self.span(*found)
        file = None if self._source is None or not template.name else self._source(template.name)
        if file is None:
            return None
        found = range_in(file.text, at) or line_range(file.text, _line(template, at))
        return Span(file, *found)


def _line(template: jinja2.Template, at: TracebackType) -> int:
    return template.get_corresponding_lineno(at.tb_lineno)


class TemplateFunction:
    """A `template` declaration with parameters, as the callable that templates see.

    Args:
        name: Its name, for messages.
        params: The parameters in order.
        defaults: The values of those that may be left out.
        template: What it renders.
    """

    #: What the environment lets be called.
    is_template_function = True

    def __init__(
        self, name: str, params: tuple[str, ...], defaults: Mapping[str, Any], template: Template
    ) -> None:
        self.name = name
        self.params = params
        self.defaults = defaults
        self.template = template

    def __repr__(self) -> str:
        return f"TemplateFunction({self.name!r})"

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        """Render it.

        Raises:
            EvaluationError: If the arguments do not fit the parameters.
        """
        if len(args) > len(self.params):
            raise EvaluationError(f"`{self.name}` takes {len(self.params)} arguments")
        given = dict(zip(self.params, args, strict=False))
        for key, value in kwargs.items():
            if key not in self.params or key in given:
                raise EvaluationError(f"`{self.name}` has no free parameter `{key}`")
            given[key] = value
        for param in self.params:
            if param not in given:
                if param not in self.defaults:
                    raise EvaluationError(f"`{self.name}` needs `{param}`")
                given[param] = self.defaults[param]
        return self.template.render(given)
