"""The type of every expression in a template, and the findings about expressions.

`Typer` walks Jinja2's nodes (with positions from `engine.sema.expressions.positions` or from the
`.orch` file) and reports unknown names, fields, filters and tests, and what may be null. What is
wrong
once is not told again: its type is `json` from there on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.sema.expressions.environment import REMOVED_FILTERS, shared_environment
from engine.sema.expressions.filter_arguments import problem
from engine.sema.expressions.positions import Located
from engine.sema.names.observer import Observer
from engine.sema.suggest import closest, names_list
from engine.sema.templates.filter_types import NEED_VALUE, attribute_argument, filter_type
from engine.sema.templates.flow_facts import Names, facts, path_of
from engine.sema.templates.typing_rules import (
    TEXT_FILTERS,
    Tuple,
    attribute_of,
    field_names,
    is_null,
    item_of,
    method_of,
    not_null,
    open_up,
    type_of_value,
)
from engine.sema.types.definitions import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STRING,
    Array,
    Constant,
    Field,
    Function,
    Json,
    Record,
    Scalar,
    Type,
    Union,
    strip,
    union_of,
)
from engine.source import Span

__all__ = ["Typer"]

Report = Callable[[Diagnostic], None]


class Typer:
    """Types expressions of one template; see the module's docstring.

    Attributes:
        used: The names of the outermost scope that were read.
    """

    def __init__(
        self, where: Located, report: Report, used: set[str], observer: Observer | None = None
    ) -> None:
        self.where = where
        self.report = report
        self.used = used
        self.observer = observer
        self._told: set[int] = set()

    def told(self, node: nodes.Node) -> bool:
        """Whether a finding was reported for exactly this node."""
        return id(node) in self._told

    def words(self, node: nodes.Node) -> str:
        """What a message calls an expression: its path in backticks, if it has one."""
        path = path_of(node)
        return "this value" if path is None else f"`{path}`"

    # ------------------------------------------------------------ the type of a node

    def type_of(self, node: nodes.Node, names: Names) -> Type:
        """The type of an expression's value (null aside where a condition excludes it)."""
        found = self._type_of(node, names)
        if names.is_known(path_of(node)):
            return not_null(found)
        return found

    def _type_of(self, node: nodes.Node, names: Names) -> Type:
        match node:
            case nodes.Const():
                return type_of_value(node.value)
            case nodes.TemplateData():
                return STRING
            case nodes.Name():
                return self._name(node, names)
            case nodes.Getattr():
                return self._attribute(node, node.attr, names)
            case nodes.Getitem():
                return self._item(node, names)
            case nodes.Call():
                return self._call(node, names)
            case nodes.Filter():
                return self._filter(node, names)
            case nodes.Test():
                return self._test(node, names)
            case nodes.And() | nodes.Or():
                return self._either(node, names)
            case nodes.CondExpr():
                return self._conditional(node, names)
            case nodes.Concat():
                for part in node.nodes:
                    self.type_of(part, names)
                return STRING
            case nodes.BinExpr():
                return self._arithmetic(
                    node, self.type_of(node.left, names), self.type_of(node.right, names)
                )
            case nodes.Not():
                self.type_of(node.node, names)
                return BOOL
            case nodes.UnaryExpr():
                return self.type_of(node.node, names)
            case nodes.Compare():
                return self._compare(node, names)
            case nodes.List():
                items = [self.type_of(item, names) for item in node.items]
                return Array(union_of(items) if items else _NOTHING)
            case nodes.Tuple():
                return Tuple(tuple(self.type_of(item, names) for item in node.items))
            case nodes.Dict():
                return self._dict(node, names)
        for child in node.iter_child_nodes():
            self.type_of(child, names)
        return ANY

    def _name(self, node: nodes.Name, names: Names) -> Type:
        found = names.use(node.name)
        if self.observer is not None:
            self.observer.name(self.where.name_of(node), node.name, found, names)
        if found is not None:
            return found
        self._told.add(id(node))
        near, help_text = self._meant(node.name, names)
        if help_text is None:
            help_text = f"did you mean `{near}`?" if near else _given(names)
        span = self.where.name_of(node)
        self.report(
            diagnostic(
                "ORC303",
                f"`{node.name}` is not defined here",
                span,
                help=help_text,
                fix=_replace(span, near),
            )
        )
        return ANY

    def _meant(self, name: str, names: Names) -> tuple[str | None, str | None]:
        """The most likely meaning of an unknown name, and the help that says it, if special."""
        is_template = bool(self.where.text)
        constants = {"none": "null", "null": "none", "nil": "null"}
        word = constants.get(name.lower(), name.lower())
        if word in ("null", "none"):
            return ("none" if is_template else "null"), None
        if word in ("true", "false"):
            return word, None
        for owner in ("param", "secret"):
            known = names.peek(owner)
            if isinstance(known, Record) and any(field.name == name for field in known.fields):
                return f"{owner}.{name}", None
        if name in shared_environment().filters:
            return None, f"`{name}` is a filter: write `value | {name}`"
        return closest(name, names.all()), None

    def _either(self, node: nodes.BinExpr, names: Names) -> Type:
        is_or = isinstance(node, nodes.Or)
        left = self.type_of(node.left, names)
        right = self.type_of(node.right, names.narrowed(facts(node.left, not is_or)))
        if is_or:
            return _joined(not_null(left), right)
        # The left side is the result only where it is falsy, and an object never is.
        falsy = [option for option in open_up(left) if not isinstance(option, Record)]
        return _joined(*falsy, right)

    def _conditional(self, node: nodes.CondExpr, names: Names) -> Type:
        self.type_of(node.test, names)
        then = self.type_of(node.expr1, names.narrowed(facts(node.test, True)))
        if node.expr2 is None:
            return then
        return _joined(then, self.type_of(node.expr2, names.narrowed(facts(node.test, False))))

    def _compare(self, node: nodes.Compare, names: Names) -> Type:
        left, left_type = node.expr, self.type_of(node.expr, names)
        for operand in node.ops:
            right, right_type = operand.expr, self.type_of(operand.expr, names)
            if self.observer is not None:
                for side, beside in ((left, right_type), (right, left_type)):
                    if isinstance(side, nodes.Const):
                        self.observer.literal(self.where.name_of(side), beside)
            if operand.op not in ("in", "notin"):
                kinds = {_sort_of(left_type), _sort_of(right_type)}
                if kinds == {"text", "number"}:
                    self._never_compares(operand.op, left, left_type, right, right_type)
                elif operand.op in ("eq", "ne"):
                    self._never_equal(left, left_type, right)
                    self._never_equal(right, right_type, left)
            left, left_type = right, right_type
        return BOOL

    def _never_compares(
        self, operator: str, left: nodes.Expr, left_type: Type, right: nodes.Expr, right_type: Type
    ) -> None:
        text = left if _sort_of(left_type) == "text" else right
        help_text = "make a number of the text: `... | int`"
        if isinstance(text, nodes.Const):
            help_text = "write the number without quotes"
        how = "are never equal" if operator in ("eq", "ne") else "cannot be compared"
        message = f"{self._side(left, left_type)} and {self._side(right, right_type)} {how}"
        self.report(diagnostic("ORC202", message, self.where.name_of(text), help=help_text))

    def _side(self, node: nodes.Expr, type_: Type) -> str:
        path = path_of(node)
        return f"`{type_}`" if path is None else f"`{path}` (`{type_}`)"

    def _never_equal(self, node: nodes.Expr, type_: Type, other: nodes.Expr) -> None:
        """A value of a few words, compared with another word."""
        if not isinstance(other, nodes.Const) or not isinstance(other.value, str):
            return
        options = [option for option in open_up(type_) if not is_null(option)]
        words = [o.value for o in options if isinstance(o, Constant) and isinstance(o.value, str)]
        if not words or len(words) < len(options):
            return
        if isinstance(node, nodes.Const) or other.value in words:
            return
        near = closest(other.value, words)
        path = path_of(node)
        listed = ", ".join(f'"{word}"' for word in words[:12])
        self.report(
            diagnostic(
                "ORC202",
                f'{self.words(node) if path else "this value"} is never "{other.value}"',
                self.where.name_of(other),
                help=f'did you mean "{near}"?' if near else f"it is one of {listed}",
            )
        )

    def _arithmetic(self, node: nodes.BinExpr, left: Type, right: Type) -> Type:
        sides = [open_up(left), open_up(right)]
        kinds_of_sides = {_sort_of(left), _sort_of(right)}
        is_text_sum = isinstance(node, nodes.Add) and kinds_of_sides == {"text", "number"}
        if is_text_sum or (
            isinstance(node, nodes.Sub | nodes.Div | nodes.FloorDiv | nodes.Pow)
            and "text" in kinds_of_sides
            and kinds_of_sides <= {"text", "number"}
        ):
            whole = self.where.whole(node)
            text_side = node.left if _sort_of(left) == "text" else node.right
            self._told.add(id(node))
            self.report(
                diagnostic(
                    "ORC202",
                    f"`{left} {node.operator} {right}`: text and numbers do not add up"
                    if is_text_sum
                    else f"`{left} {node.operator} {right}`: text cannot be calculated with",
                    whole if whole is not None else self.where.name_of(text_side),
                    help="join texts with `~`" if is_text_sum else None,
                )
            )
            return ANY
        if isinstance(node, nodes.Add):
            if all(isinstance(option, Array) for side in sides for option in side):
                items = [item_of(left) or ANY, item_of(right) or ANY]
                return Array(union_of(items))
            if all(_is_text(option) for side in sides for option in side):
                return STRING
        if isinstance(node, nodes.Mod | nodes.Mul) and any(_is_text(o) for o in sides[0]):
            return STRING
        kinds = {str(option) for side in sides for option in side}
        if kinds <= {"int"} and not isinstance(node, nodes.Div):
            return INT
        return FLOAT if kinds <= {"int", "float"} else ANY

    def _dict(self, node: nodes.Dict, names: Names) -> Type:
        fields: list[Field] = []
        for pair in node.items:
            self.type_of(pair.key, names)
            value = self.type_of(pair.value, names)
            if isinstance(pair.key, nodes.Const) and isinstance(pair.key.value, str):
                fields.append(Field(pair.key.value, value))
        return Record(None, tuple(fields)) if len(fields) == len(node.items) else ANY

    # ------------------------------------------------------------ fields and items

    def not_null_or_told(
        self, node: nodes.Node, found: Type, names: Names, fix: Fix | None = None
    ) -> Type:
        """The type without null; if null is possible, that is reported (ORC305)."""
        options = open_up(found)
        if not any(is_null(option) for option in options) or len(options) == 1:
            return found
        if self.told(node):
            return ANY
        self._told.add(id(node))
        path = path_of(node)
        help_text = 'give a value for that case: `(...) or "..."`'
        if path is not None:
            help_text = f'guard it with `{{% if {path} %}}`, or give a value: `{path} or "..."`'
        self.report(
            diagnostic(
                "ORC305",
                f"{self.words(node)} may be null here",
                self.where.name_of(node),
                help=help_text,
                fix=fix,
            )
        )
        return not_null(found)

    def _attribute(
        self, node: nodes.Getattr | nodes.Getitem, name: str, names: Names, is_call: bool = False
    ) -> Type:
        owner = self.type_of(node.node, names)
        if self.told(node.node):
            self._told.add(id(node))
            return ANY
        owner = self.not_null_or_told(node.node, owner, names)
        if self.observer is not None:
            self.observer.attribute(self._name_span(node), owner, name)
        options = tuple(option for option in open_up(owner) if not is_null(option))
        found = [attribute_of(option, name) for option in options]
        if is_call:
            found = [
                method_of(option, name) if type_ is None else _called(type_)
                for option, type_ in zip(options, found, strict=True)
            ]
        there = [type_ for type_ in found if type_ is not None]
        if there or not options:
            return there[0] if len(there) == 1 else _joined(*there)
        if not is_call and any(method_of(option, name) is not None for option in options):
            return ANY
        self._told.add(id(node))
        self._unknown_field(owner, options, name, self._name_span(node))
        return ANY

    def _name_span(self, node: nodes.Getattr | nodes.Getitem) -> Span:
        if isinstance(node, nodes.Getattr):
            return self.where.name_of(node)
        return self.where.name_of(node.arg)

    def _unknown_field(self, owner: Type, options: tuple[Type, ...], name: str, span: Span) -> None:
        known = field_names(options)
        near = closest(name, known)
        help_text = None
        if near is not None:
            help_text = f"did you mean `{near}`?"
        elif known:
            help_text = f"there is {names_list(known)}"
        self.report(
            diagnostic(
                "ORC302",
                f"`{owner}` has no field `{name}`",
                span,
                help=help_text,
                fix=_replace(span, near) if span.text == name else None,
            )
        )

    def _item(self, node: nodes.Getitem, names: Names) -> Type:
        key = node.arg
        if isinstance(key, nodes.Const) and isinstance(key.value, str):
            return self._attribute(node, key.value, names)
        owner = self.type_of(node.node, names)
        if not isinstance(key, nodes.Slice):
            self.type_of(key, names)
        else:
            for part in (key.start, key.stop, key.step):
                if part is not None:
                    self.type_of(part, names)
        if self.told(node.node):
            self._told.add(id(node))
            return ANY
        owner = self.not_null_or_told(node.node, owner, names)
        if isinstance(key, nodes.Slice):
            return owner
        found: list[Type] = []
        for option in open_up(owner):
            if isinstance(option, Array):
                found.append(option.item)
            elif isinstance(option, Tuple):
                index = key.value if isinstance(key, nodes.Const) else None
                in_range = isinstance(index, int) and -len(option.items) <= index < len(
                    option.items
                )
                found.append(
                    option.items[index]
                    if in_range and isinstance(index, int)
                    else union_of(list(option.items))
                )
            else:
                found.append(STRING if _is_text(option) else ANY)
        return found[0] if len(found) == 1 else _joined(*found)

    # ------------------------------------------------------------ calls, filters, tests

    def _arguments(
        self, node: nodes.Call | nodes.Filter | nodes.Test, names: Names
    ) -> dict[nodes.Expr, Type]:
        given = [*node.args, *(keyword.value for keyword in node.kwargs)]
        found = {argument: self.type_of(argument, names) for argument in given}
        for rest in (node.dyn_args, node.dyn_kwargs):
            if rest is not None:
                self.type_of(rest, names)
        return found

    def _call(self, node: nodes.Call, names: Names) -> Type:
        arguments = self._arguments(node, names)
        if isinstance(node.node, nodes.Getattr):
            imported = self._imported_template(node.node, names)
            if imported is None:
                return self._attribute(node.node, node.node.attr, names, is_call=True)
            self._attribute(node.node, node.node.attr, names)
            self._check_call(node, imported, arguments)
            return imported.result
        function = self.type_of(node.node, names)
        if isinstance(node.node, nodes.Name) and node.node.name == "loop":
            return STRING  # a recursive loop
        if isinstance(function, Function):
            self._check_call(node, function, arguments)
            return function.result
        options = open_up(function)
        if self.told(node.node) or any(isinstance(option, Json) for option in options):
            return ANY
        self.report(
            diagnostic(
                "ORC202",
                f"{self.words(node.node)} is `{function}` and cannot be called",
                self.where.name_of(node.node),
            )
        )
        return ANY

    def _imported_template(self, node: nodes.Getattr, names: Names) -> Function | None:
        """`common.page`, where `common` is the alias of an import; None if it is anything else."""
        if not isinstance(node.node, nodes.Name):
            return None
        options = open_up(names.peek(node.node.name) or ANY)
        found = attribute_of(options[0], node.attr) if len(options) == 1 else None
        return found if isinstance(found, Function) else None

    def _check_call(
        self, node: nodes.Call, function: Function, types: dict[nodes.Expr, Type]
    ) -> None:
        """The arguments of a template or macro against its parameters."""
        known = [field.name for field in function.params]
        span = self.where.name_of(node.node)
        if len(node.args) > len(known) and function.name != "range":
            count = f"{len(known)} argument{'s' if len(known) != 1 else ''}"
            self._bad_call(f"`{function.name}` takes at most {count}", span)
        misnamed = False
        for keyword in node.kwargs:
            if keyword.key not in known and keyword.key != "caller":
                misnamed = True
                near = closest(keyword.key, known)
                self._bad_call(
                    f"`{function.name}` has no parameter `{keyword.key}`",
                    span,
                    f"did you mean `{near}`?" if near else None,
                )
        if node.dyn_args is not None or node.dyn_kwargs is not None or function.name == "range":
            return
        given = dict(zip(known, node.args, strict=False))
        given |= {keyword.key: keyword.value for keyword in node.kwargs}
        for field in function.params:
            argument = given.get(field.name)
            if argument is not None:
                self._check_argument(argument, types[argument], field, function)
            # Parameters of macros are `json`, and may be left out. An argument with a wrong name
            # is most likely the one that is missing.
            elif field.required and not isinstance(field.type, Json) and not misnamed:
                self._bad_call(f"`{function.name}` needs `{field.name}`", span)

    def _check_argument(
        self, argument: nodes.Expr, found: Type, field: Field, function: Function
    ) -> None:
        """A template that reads fields needs a record that has them; all else only prints."""
        wanted = strip(field.type)
        options = [option for option in open_up(found) if not is_null(option)]
        if (
            isinstance(wanted, Record)
            and options
            and all(_lacks(option, wanted) for option in options)
            and not self.told(argument)
        ):
            self._bad_call(
                f"`{function.name}` takes `{field.name}: {field.type}`, and this is `{found}`",
                self.where.name_of(argument),
            )

    def _bad_call(self, message: str, span: Span, help_text: str | None = None) -> None:
        self.report(diagnostic("ORC202", message, span, help=help_text))

    def _filter(self, node: nodes.Filter, names: Names) -> Type:
        self._arguments(node, names)
        # The filter of `{% filter x %}` and `{% set a | x %}` has no operand.
        operand = STRING if node.node is None else self.type_of(node.node, names)
        filters = shared_environment().filters
        if node.name not in filters:
            self._told.add(id(node))
            self._unknown("filter", node.name, list(filters), self.where.name_of(node))
            return ANY
        self._check_arguments(node)
        if node.node is not None and self.told(node.node):
            self._told.add(id(node))
            return ANY
        if node.name in NEED_VALUE and node.node is not None:
            operand = self.not_null_or_told(node.node, operand, names)
            self._check_iterable(node, node.node, operand)
        elif node.name in TEXT_FILTERS and node.node is not None:
            operand = self.not_null_or_told(node.node, operand, names)
        self._check_names_in_filter(node, operand)
        return filter_type(node, operand)

    def _check_iterable(self, node: nodes.Filter, inner: nodes.Node, operand: Type) -> None:
        """A number or bool has no items for a filter to work on."""
        options = [option for option in open_up(operand) if not is_null(option)]
        if node.name in ("abs", "round") or not options or self.told(inner):
            return
        if item_of(operand) is None and not any(_is_text(option) for option in options):
            self._told.add(id(node))
            self.report(
                diagnostic(
                    "ORC306",
                    f"{self.words(inner)} is `{operand}`; `{node.name}` needs a list or a string",
                    self.where.name_of(node),
                )
            )

    def _check_names_in_filter(self, node: nodes.Filter, operand: Type) -> None:
        """Fields, filters and tests that are in a filter's arguments as strings."""
        attribute = attribute_argument(node)
        if attribute is not None:
            self._check_attribute_string(attribute, item_of(operand) or ANY)
        environment = shared_environment()
        name: Any
        if node.name == "map" and node.args:
            name, kind, known = node.args[0], "filter", list(environment.filters)
        elif node.name in ("select", "reject") and node.args:
            name, kind, known = node.args[0], "test", list(environment.tests)
        elif node.name in ("selectattr", "rejectattr") and len(node.args) > 1:
            name, kind, known = node.args[1], "test", list(environment.tests)
        else:
            return
        if (
            isinstance(name, nodes.Const)
            and isinstance(name.value, str)
            and name.value not in known
        ):
            self._unknown(kind, name.value, known, self._inside_quotes(name))

    def _check_attribute_string(self, node: nodes.Const, item: Type) -> None:
        """`map(attribute="a.b")` and its like: every part has to be a field."""
        current: Type = item
        for part in str(node.value).split(","):
            for name in part.strip().split("."):
                options = tuple(o for o in open_up(current) if not is_null(o))
                if name.isdigit():
                    current = item_of(current) or ANY
                    continue
                found = [attribute_of(option, name) for option in options]
                there = [type_ for type_ in found if type_ is not None]
                if options and not there:
                    self._unknown_field(current, options, name, self._inside_quotes(node, name))
                    return
                current = _joined(*there)
            current = item

    def _inside_quotes(self, node: nodes.Const, part: str | None = None) -> Span:
        """The characters of a string literal, or those of a word in it."""
        span = self.where.name_of(node)
        text = span.text
        wanted = str(node.value) if part is None else part
        at = text.find(wanted, 1)
        if at == -1:
            return span
        return Span(span.source, span.start + at, span.start + at + len(wanted))

    def _test(self, node: nodes.Test, names: Names) -> Type:
        self._arguments(node, names)
        self.type_of(node.node, names)
        tests = shared_environment().tests
        if node.name not in tests:
            self._unknown("test", node.name, list(tests), self.where.name_of(node))
        else:
            self._check_arguments(node)
        return BOOL

    def _check_arguments(self, node: nodes.Filter | nodes.Test) -> None:
        found = problem(node)
        if found is None:
            return
        span = self.where.name_of(node)
        fix = None
        if found.keyword is not None:
            word = re.compile(rf"\b{re.escape(found.keyword)}(?=\s*=)")
            match = word.search(span.source.text, span.end)
            if match is not None:
                span = Span(span.source, *match.span())
                fix = _replace(span, found.near)
        self.report(diagnostic("ORC202", found.message, span, help=found.help, fix=fix))

    def _unknown(self, kind: str, name: str, known: list[str], span: Span) -> None:
        near = closest(name, [item for item in known if item.isidentifier()])
        help_text = f"did you mean `{near}`?" if near else None
        if kind == "filter" and name in REMOVED_FILTERS:
            near, help_text = None, REMOVED_FILTERS[name]
        self.report(
            diagnostic(
                "ORC304",
                f"there is no {kind} `{name}`",
                span,
                help=help_text,
                fix=_replace(span, near) if span.text == name else None,
            )
        )


def _sort_of(type_: Type) -> str | None:
    """`text` or `number` if the value is certainly one or the other (null aside)."""
    options = [option for option in open_up(type_) if not is_null(option)]
    if options and all(_is_text(option) for option in options):
        return "text"
    if options and all(_is_number(option) for option in options):
        return "number"
    return None


def _is_number(type_: Type) -> bool:
    value = getattr(type_, "value", None)
    if isinstance(value, int | float):
        return not isinstance(value, bool)
    return isinstance(type_, Scalar) and type_.name in ("int", "float")


#: The items of `[]`.
_NOTHING = Union(())


def _is_text(type_: Type) -> bool:
    value = getattr(type_, "value", None)
    return isinstance(value, str) or (isinstance(type_, Scalar) and type_.is_text)


def _lacks(option: Type, wanted: Record) -> bool:
    """Whether a value of a type is sure to have not all the fields of a record."""
    option = strip(option)
    if isinstance(option, Record):
        return any(field.required and option.field(field.name) is None for field in wanted.fields)
    return isinstance(option, Scalar | Constant | Array)


def _called(type_: Type) -> Type:
    return type_.result if isinstance(type_, Function) else ANY


def _joined(*types: Type) -> Type:
    return types[0] if len(types) == 1 else union_of(list(types))


def _replace(span: Span, near: str | None) -> Fix | None:
    return None if near is None else Fix(f"Replace it with `{near}`", (Edit(span, near),))


def _given(names: Names) -> str | None:
    scope = [name for name in names.all() if names.is_given(name)]
    return f"there is {names_list(scope)}" if scope else None
