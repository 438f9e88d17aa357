"""Templates and expressions checked against types, before anything is rendered.

Says at the exact character which variable, field, filter or included file does not exist, what may
be null, and what would print or loop in an unwanted way. Expressions of a `.orch` file are
turned into the same nodes (`engine.sema.expressions.compiler.to_nodes`), so both are judged by the
same rules; how types flow is in `engine.sema.templates.typer`.

It collects, never raises, and one root cause is one finding: what is unknown is `json` after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from jinja2 import nodes

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.sema.expressions.compiler import to_nodes
from engine.sema.expressions.environment import shared_environment
from engine.sema.expressions.positions import Located, TemplateFault, parse_template
from engine.sema.names.observer import Observer
from engine.sema.suggest import closest
from engine.sema.templates.flow_facts import Names, facts
from engine.sema.templates.typer import Typer
from engine.sema.templates.typing_rules import (
    Module,
    Tuple,
    attribute_of,
    is_structured,
    item_of,
    loop_type,
    open_up,
)
from engine.sema.types.definitions import ANY, STRING, Array, Field, Function, Type
from engine.source import SourceFile
from engine.syntax import ast

__all__ = ["Load", "check_expression", "check_template", "check_template_file"]

Report = Callable[[Diagnostic], None]
#: The file an `{% include "name" %}` means, or None.
Load = Callable[[str], SourceFile | None]

#: What begins the text of a comment that is meant as one.
_BEFORE_COMMENT = frozenset(("", " ", "\t", "\n", "\r", "-", "+", "#", "}"))
#: How many files may include one another in a row.
_MAX_DEPTH = 32


def check_template(
    text: ast.String,
    scope: Mapping[str, Type],
    *,
    load: Load | None = None,
    report: Report,
    observer: Observer | None = None,
) -> set[str]:
    """Check a template written as a string of a `.orch` file.

    Args:
        text: The string; findings point into it.
        scope: What the template sees, by name: inputs, `param`, templates.
        load: Finds included and imported files; None if there are none.
        report: Where findings go.
        observer: Told what names mean, if given.

    Returns:
        The names of `scope` that are used, in included files too.
    """
    return _check(Located.in_string(text), scope, load, report, observer)


def check_template_file(
    source: SourceFile,
    scope: Mapping[str, Type],
    *,
    load: Load | None = None,
    report: Report,
    name: str | None = None,
    observer: Observer | None = None,
) -> set[str]:
    """Check a template in a file of its own; `name` is how templates would include it."""
    return _check(Located.in_file(source, name), scope, load, report, observer)


def check_expression(
    expr: ast.Expr,
    scope: Mapping[str, Type],
    report: Report,
    used: set[str] | None = None,
    observer: Observer | None = None,
    known: frozenset[str] = frozenset(),
) -> Type:
    """Check an expression of a `.orch` file and give its type.

    Args:
        expr: The expression; findings point into it.
        scope: What it sees, by name.
        report: Where findings go.
        used: Gets the names of `scope` that are used, if given.
        observer: Told what names mean, if given.
        known: The paths that are known not to be null.
    """
    names = Names(scope, None, known)
    where = Located("", lambda start, end: expr.span, None)
    typer = Typer(where, report, names.used, observer)
    try:
        result = typer.type_of(to_nodes(expr), names)
    except RecursionError:
        report(diagnostic("ORC301", "the expression is nested too deeply", expr.span))
        result = ANY
    if used is not None:
        used.update(names.used)
    return result


def _check(
    where: Located,
    scope: Mapping[str, Type],
    load: Load | None,
    report: Report,
    observer: Observer | None,
) -> set[str]:
    names = Names(scope).inner()
    chain = () if where.name is None else (where.name,)
    _Checker(where, load, report, chain, names.used, observer).run(names)
    return names.used


class _Checker:
    """Walks the statements of one template (or included file)."""

    def __init__(
        self,
        where: Located,
        load: Load | None,
        report: Report,
        chain: tuple[str, ...],
        used: set[str],
        observer: Observer | None,
    ) -> None:
        self.where = where
        self.load = load
        self.report = report
        self.chain = chain
        self.typer = Typer(where, report, used, observer)

    def run(self, names: Names) -> Names:
        """Check the whole template; gives the names as its end sees them."""
        try:
            tree = parse_template(self.where.text)
            self.comments()
            self.statements(tree.body, names)
        except TemplateFault as fault:
            span = self.where.span(fault.start, fault.end)
            self.report(diagnostic("ORC301", fault.message, span, help=fault.help))
        except RecursionError:
            span = self.where.span(0, min(1, len(self.where.text)))
            self.report(diagnostic("ORC301", "the template is nested too deeply", span))
        return names

    def comments(self) -> None:
        """ORC314: what Jinja2 cuts out as a comment, and does not look like one."""
        text = self.where.text
        if "{#" not in text:
            return
        at = 0
        tokens = list(shared_environment().lex(text))
        for (_, kind, begin), (_, _, inside) in pairwise(tokens):
            if kind == "comment_begin" and inside[:1] not in _BEFORE_COMMENT:
                self.report(
                    diagnostic(
                        "ORC314",
                        f"`{begin}{inside.split()[0][:20]}` begins a comment, which is cut out",
                        self.where.span(at, at + len(begin)),
                        help="write `{{ '{#' }}` for the characters, or a blank behind `{#`",
                    )
                )
            at += len(begin)

    def statements(self, body: list[nodes.Node], names: Names) -> None:
        for node in body:
            self.statement(node, names)

    def statement(self, node: nodes.Node, names: Names) -> None:
        match node:
            case nodes.Output():
                for child in node.nodes:
                    self.output(child, names)
            case nodes.For():
                self.loop(node, names)
            case nodes.If():
                self.condition(node, names)
            case nodes.Assign():
                self.bind(node.target, self.typer.type_of(node.node, names), names)
            case nodes.AssignBlock():
                self.statements(node.body, names.inner())
                result: Type = STRING
                if node.filter is not None:
                    result = self.typer.type_of(node.filter, names)
                self.bind(node.target, result, names)
            case nodes.Macro():
                self.macro(node, names)
            case nodes.CallBlock():
                self.typer.type_of(node.call, names)
                inner = names.inner()
                for arg in node.args:
                    inner.bind(arg.name, ANY)
                self.statements(node.body, inner)
            case nodes.FilterBlock():
                self.typer.type_of(node.filter, names)
                self.statements(node.body, names.inner())
            case nodes.With():
                inner = names.inner()
                for target, value in zip(node.targets, node.values, strict=True):
                    self.bind(target, self.typer.type_of(value, names), inner)
                self.statements(node.body, inner)
            case nodes.Block():
                inner = names.inner()
                inner.bind("super", ANY)
                self.statements(node.body, inner)
            case nodes.Include() | nodes.Extends() | nodes.Import() | nodes.FromImport():
                self.other_file(node, names)
            case nodes.Scope() | nodes.ScopedEvalContextModifier():
                self.statements(node.body, names)

    # ------------------------------------------------------------ output

    def output(self, node: nodes.Expr, names: Names) -> None:
        if isinstance(node, nodes.TemplateData):
            self.single_braces(node, names)
            return
        found = self.typer.type_of(node, names)
        if self.typer.told(node):
            return
        whole = self.where.whole(node)
        instead = None
        if whole is not None and not is_structured(found):
            text = f"{whole.text} or ''"
            instead = Fix(f"Write `{text}`", (Edit(whole, text),), "unsafe")
        self.typer.not_null_or_told(node, found, names, instead)
        if is_structured(found):
            kind = "a list" if _is_list(found) else "an object"
            fix = None
            if whole is not None:
                fix = Fix(f"Write `{whole.text} | json`", (Edit(whole, f"{whole.text} | json"),))
            self.report(
                diagnostic(
                    "ORC308",
                    f"{self.typer.words(node)} is {kind} and prints as raw JSON",
                    whole if whole is not None else self.where.name_of(node),
                    help="write `| json` to say so, or print its fields",
                    fix=fix,
                )
            )

    def single_braces(self, node: nodes.TemplateData, names: Names) -> None:
        """`{topic}` in plain text, where `topic` is something the template sees."""
        data: str = node.data
        at = data.find("{")
        while at != -1:
            end = data.find("}", at)
            if end == -1:
                return
            word = data[at + 1 : end].strip()
            before = data[at - 1 : at] if at else ""
            alone = before not in ("{", "\\") and data[end + 1 : end + 2] != "}"
            if alone and "\n" not in data[at:end] and self._is_placeholder(word, before, names):
                start = node.lineno + at - (before == "$")
                self._placeholder(word, start, node.lineno + end + 1)
            at = data.find("{", at + 1)

    def _is_placeholder(self, word: str, before: str, names: Names) -> bool:
        """`{topic}`, `{finding.claim}`, and `${finding.claim}`; `${topic}` is a shell's."""
        root, _, field = word.partition(".")
        if not all(part.isidentifier() for part in word.split(".")):
            return False
        if not field:
            return before != "$" and names.is_given(root)
        found = names.peek(root)
        options = () if found is None else open_up(found)
        return any(attribute_of(option, field.partition(".")[0]) for option in options)

    def _placeholder(self, word: str, start: int, end: int) -> None:
        span = self.where.span(start, end)
        self.report(
            diagnostic(
                "ORC310",
                f"`{span.text}` is literal text",
                span,
                help=f"did you mean `{{{{ {word} }}}}`?",
                fix=Fix("Write a placeholder", (Edit(span, f"{{{{ {word} }}}}"),)),
            )
        )

    # ------------------------------------------------------------ loops, conditions, names

    def loop(self, node: nodes.For, names: Names) -> None:
        found = self.typer.type_of(node.iter, names)
        item: Type = ANY
        if not self.typer.told(node.iter):
            self.typer.not_null_or_told(node.iter, found, names)
            known = item_of(found)
            if known is None:
                self._loop_over_scalar(node.iter, found)
            else:
                item = known
        inner = names.inner()
        self.bind(node.target, item, inner)
        if node.test is not None:
            self.typer.type_of(node.test, inner)
            inner.learn(facts(node.test, True))
        inner.bind("loop", loop_type(item))
        self.statements(node.body, inner)
        self.statements(node.else_, names.inner())

    def _loop_over_scalar(self, node: nodes.Node, found: Type) -> None:
        text = self.typer.words(node)
        is_text = any(str(option) == "string" for option in open_up(found))
        self.report(
            diagnostic(
                "ORC306",
                f"{text} is `{found}`; "
                + ("looping gives single letters" if is_text else "there is nothing to loop over"),
                self.where.name_of(node),
                help="split it first, as in `text.splitlines()`" if is_text else None,
            )
        )

    def condition(self, node: nodes.If, names: Names) -> None:
        passed: frozenset[str] = frozenset()
        for branch in [node, *node.elif_]:
            inner = names.narrowed(passed)
            self.typer.type_of(branch.test, inner)
            self.statements(branch.body, names.narrowed(passed | facts(branch.test, True)))
            passed |= facts(branch.test, False)
        self.statements(node.else_, names.narrowed(passed))

    def bind(self, target: nodes.Node, type_: Type, names: Names) -> None:
        """Give a name, or names, to a value."""
        if isinstance(target, nodes.Name):
            names.bind(target.name, type_)
        elif isinstance(target, nodes.NSRef):
            names.use(target.name)
        elif isinstance(target, nodes.Tuple):
            parts: list[Type] = [item_of(type_) or ANY] * len(target.items)
            if isinstance(type_, Tuple) and len(type_.items) == len(parts):
                parts = list(type_.items)
            for item, part in zip(target.items, parts, strict=True):
                self.bind(item, part, names)

    def macro(self, node: nodes.Macro, names: Names) -> None:
        params = tuple(Field(arg.name, ANY) for arg in node.args)
        names.bind(node.name, Function(node.name, params, STRING))
        inner = names.inner()
        for name in ("caller", "varargs", "kwargs"):
            inner.bind(name, ANY)
        for arg in node.args:
            inner.bind(arg.name, ANY)
        for default in node.defaults:
            self.typer.type_of(default, names)
        self.statements(node.body, inner)

    # ------------------------------------------------------------ other files

    def other_file(
        self,
        node: nodes.Include | nodes.Extends | nodes.Import | nodes.FromImport,
        names: Names,
    ) -> None:
        self.typer.type_of(node.template, names)
        is_optional = isinstance(node, nodes.Include) and node.ignore_missing
        exports: Mapping[str, Type] | None = None
        if isinstance(node.template, nodes.Const) and isinstance(node.template.value, str):
            exports = self._open(node.template, names, node, is_optional)
        if isinstance(node, nodes.Import):
            names.bind(node.target, ANY if exports is None else Module(node.target, exports))
        elif isinstance(node, nodes.FromImport):
            for entry in node.names:
                name, local = entry if isinstance(entry, tuple) else (entry, entry)
                names.bind(local, self._exported(node, name, exports))

    def _exported(
        self, node: nodes.FromImport, name: str, exports: Mapping[str, Type] | None
    ) -> Type:
        if exports is None:
            return ANY
        if name not in exports:
            near = closest(name, exports)
            self.report(
                diagnostic(
                    "ORC303",
                    f"`{name}` is not defined in the imported file",
                    self.where.name_of(node.template),
                    help=None if near is None else f"did you mean `{near}`?",
                )
            )
            return ANY
        return exports[name]

    def _open(
        self, reference: nodes.Const, names: Names, node: nodes.Node, is_optional: bool
    ) -> Mapping[str, Type] | None:
        """Check another file where it is included; gives what it defines, None if unreadable."""
        name = reference.value
        span = self.where.name_of(reference)
        if name in self.chain:
            circle = " -> ".join([*self.chain[self.chain.index(name) :], name])
            message = f"`{name}` includes itself" + (
                f" ({circle})" if circle.count("->") > 1 else ""
            )
            self.report(diagnostic("ORC313", message, span))
            return None
        source = self.load(name) if self.load is not None else None
        if source is None:
            if not is_optional:
                self.report(diagnostic("ORC309", f"`{name}` does not exist", span))
            return None
        if len(self.chain) >= _MAX_DEPTH:
            self.report(diagnostic("ORC313", "templates include one another too deeply", span))
            return None
        inner = names if isinstance(node, nodes.Extends) else names.inner()
        checker = _Checker(
            Located.in_file(source, name),
            self.load,
            self.report,
            (*self.chain, name),
            self.typer.used,
            self.typer.observer,
        )
        checker.run(inner)
        return inner.own()


def _is_list(type_: Type) -> bool:
    return any(isinstance(option, Array | Tuple) for option in open_up(type_))
