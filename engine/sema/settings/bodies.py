"""Reads the body of a declaration by the table of settings.

A `Body` in the tree is generic; what comes out is `Settings`: constants folded to plain values in
canonical units, names resolved to entities, blocks read by their own kind, expressions and
templates left as they are written for `engine.sema.declarations.prompts`. Everything that does not
fit the table is reported here, one diagnostic per fault, and left out; a reader of `Settings` sees
only values that are right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.diagnostics.edits import appended, removed
from engine.sema.names.scope import Entity, Scope
from engine.sema.settings import values as table
from engine.sema.settings.constant_settings import LeafReader
from engine.sema.settings.constants import (
    JSON_NULL,
    FileText,
    Folder,
    NotConstant,
    constant_value,
)
from engine.sema.settings.references import NameReader, one_of
from engine.sema.settings.table import KINDS, Kind, Row
from engine.sema.settings.units import without_lone_units
from engine.sema.suggest import closest, names_list
from engine.source import Span
from engine.syntax import ast

__all__ = ["BodyReader", "LabelledBlock", "Settings"]


@dataclass(eq=False)
class LabelledBlock:
    """A nested block: whom its label names (None without label), and what is in it.

    `label` is `"orchestrator"` for `mock orchestrator`, which names the orchestrator under test,
    and the new name where the block declares one; `name` says where a label is written.
    """

    label: Entity | str | None
    span: Span
    settings: Settings
    name: ast.Name | None = None


@dataclass(eq=False)
class Settings:
    """The settings of one body.

    Attributes:
        values: Folded constants by name: int, float, bool, str, lists, an `Entity` or a tuple of
            entities. Only what was written and is right.
        exprs: `Text` and `Computed` settings, unevaluated.
        blocks: Nested blocks by name.
        numbered: `INT = mode` entries.
        spans: Where each setting's value is.
        items: The names of a list of names, each with its place.
        written: Every setting that was written, right or wrong.
        partial: Lists of names in which a name could not be resolved.
    """

    kind: Kind
    span: Span
    values: dict[str, Any] = field(default_factory=dict)
    exprs: dict[str, ast.Expr] = field(default_factory=dict)
    blocks: dict[str, list[LabelledBlock]] = field(default_factory=dict)
    numbered: dict[int, str] = field(default_factory=dict)
    assertions: list[ast.Assertion] = field(default_factory=list)
    spans: dict[str, Span] = field(default_factory=dict)
    items: dict[str, list[tuple[Entity, Span]]] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    partial: set[str] = field(default_factory=set)

    def block(self, name: str) -> Settings | None:
        """The settings of a block that may occur once, or None."""
        found = self.blocks.get(name)
        return found[0].settings if found else None

    def get(self, name: str) -> Any:
        """A folded constant: as written, else the default of the table, else None.

        Raises:
            LookupError: Such a body has no setting of that name: the caller has misspelt it.
        """
        if name in self.values:
            return self.values[name]
        row = self.kind.row(name)
        if row is None:
            raise LookupError(f"{self.kind.title} have no setting `{name}`")
        return row.default

    def find(self, name: str) -> Any:
        """As `get`, for a setting that not every kind of body has; None where this one has none."""
        return None if self.kind.row(name) is None else self.get(name)


class BodyReader:
    """Reads the bodies of one module.

    Args:
        scope: Resolves names and collects diagnostics.
        folder: Folds constants.
        file_text: The text that `file("x")` means; reports and gives None if it cannot be read.
    """

    def __init__(
        self, scope: Scope, folder: Folder, file_text: Callable[[ast.String], str | None]
    ) -> None:
        self._scope = scope
        self._folder = folder
        self._file_text = file_text
        self._leaves = LeafReader(scope)
        self._names = NameReader(scope, self._leaves)

    def read(
        self,
        body: ast.Body,
        kind: Kind,
        owner: str,
        owner_span: Span,
        modes: frozenset[str] = frozenset(),
    ) -> Settings:
        """Read one body and what is nested in it.

        Args:
            owner: Whose body it is, for messages: "worker `search`".
            owner_span: Where that name is written; a missing setting is reported there.
            modes: The failure modes that may be named inside.
        """
        self._names.modes = modes
        return self._body(body, kind, owner, owner_span)

    # ------------------------------------------------------------ bodies

    def _body(self, body: ast.Body, kind: Kind, owner: str, owner_span: Span) -> Settings:
        result = Settings(kind, owner_span)
        first: dict[tuple[str, tuple[str, ...]], ast.Setting | ast.Block] = {}
        known = {row.name for row in kind.rows}
        for member in without_lone_units(body.members, known, self._report):
            if isinstance(member, ast.Setting):
                if self._once(first, member, (), kind):
                    self._setting(result, member)
            elif isinstance(member, ast.Block):
                row = kind.row(member.name.text)
                labels = tuple(label.text for label in member.labels)
                repeats = (
                    row is not None
                    and isinstance(row.value, table.BlockValue)
                    and row.value.repeated
                    and row.name != "limit"
                )
                if repeats or self._once(first, member, labels, kind):
                    self._block(result, member, owner)
            elif isinstance(member, ast.NumberedSetting):
                self._numbered(result, member)
            elif not kind.assertions:
                self._report(
                    diagnostic(
                        "ORC103",
                        f"{kind.title} take no `assert`",
                        member.span,
                        help="assertions belong in `rules` verifiers, schemas and tests",
                    )
                )
            else:
                result.assertions.append(member)
        for row in kind.rows:
            if row.required and row.name not in result.written:
                self._missing(row, kind, owner, owner_span, body)
        return result

    def _once(
        self,
        first: dict[tuple[str, tuple[str, ...]], ast.Setting | ast.Block],
        member: ast.Setting | ast.Block,
        labels: tuple[str, ...],
        kind: Kind,
    ) -> bool:
        key = (member.name.text, labels)
        earlier = first.setdefault(key, member)
        if earlier is member:
            return True
        if kind.row(member.name.text) is not None:
            same = earlier.span.text == member.span.text
            both = "keep one of them"
            row = kind.row(key[0])
            is_env = row is not None and isinstance(row.value, table.Computed)
            if is_env and isinstance(earlier, ast.Setting) != isinstance(member, ast.Setting):
                both = f"write one block: `{key[0]} {{ inherit = [...]  set = {{ ... }} }}`"
            self._report(
                diagnostic(
                    "ORC105",
                    f"`{' '.join((member.name.text, *labels))}` is set twice",
                    member.name.span,
                    help=both,
                    fix=Fix(
                        "remove the second one",
                        (removed(member.span),),
                        "safe" if same else "unsafe",
                    ),
                    related=(Related("first set here", earlier.name.span),),
                )
            )
        return False

    def _missing(self, row: Row, kind: Kind, owner: str, span: Span, body: ast.Body) -> None:
        module = self._scope.module
        if module.syntax_errors and re.search(rf"\b{row.name}\b", body.span.text):
            return
        messages = {
            "max_rounds": f"{owner} must set `max_rounds`",
            "policy": f"{owner} has no `policy`, so nothing bounds its rounds",
        }
        block = isinstance(row.value, table.BlockValue)
        help = f"{row.doc[:1].lower()}{row.doc[1:].rstrip('.')}"
        example = _EXAMPLES.get((kind.name, row.name)) or _EXAMPLES.get(("", row.name))
        if example is None and block:
            example = f"{row.name} {{ ... }}"
        self._report(
            diagnostic(
                row.missing,
                messages.get(row.name, f"{owner} needs `{row.name}`"),
                span,
                help=f"add `{example}`: {help}" if example else f"`{row.name}`: {help}",
                fix=self._supply(row, kind, body),
            )
        )

    def _supply(self, row: Row, kind: Kind, body: ast.Body) -> Fix | None:
        """What could be written for a missing setting, where there is something to choose."""
        setting = _SUPPLIED.get((kind.name, row.name))
        models = self._scope.visible("model")
        if row.name == "model" and len(models) == 1:
            setting = f"model = {models[0]}"
        if setting is None or not body.span.text.endswith("}"):
            return None
        safety: Literal["safe", "unsafe"] = "safe" if kind.name == "retry" else "unsafe"
        return Fix(f"add `{setting}`", (appended(body.span, setting),), safety)

    def _row(self, name: ast.Name, kind: Kind, result: Settings) -> Row | None:
        row = kind.row(name.text)
        if row is not None:
            result.written.add(name.text)
            return row
        near = closest(name.text, [r.name for r in kind.rows])
        near = None if name.text in kind.without else near
        fix = None
        if near is not None and near not in result.written:
            # What was misspelt is not missing as well.
            result.written.add(near)
        if near is not None:
            help = f"did you mean `{near}`?"
            fix = Fix(f"write `{near}`", (Edit(name.span, near),))
        else:
            help = self._elsewhere(name.text, kind)
        self._report(
            diagnostic(
                "ORC103",
                f"{kind.title} have no setting `{name.text}`",
                name.span,
                help=help,
                fix=fix,
            )
        )
        return None

    def _elsewhere(self, name: str, kind: Kind) -> str:
        if name in kind.without:
            return kind.without[name]
        for row in kind.rows:
            block = table.block_of(row.value)
            if block is not None:
                inner = KINDS[block]
                if inner.row(name) is not None:
                    return f"`{name}` belongs in `{row.name} {{ ... }}`"
        outer = [
            other.name
            for other in KINDS.values()
            if other.row(name) is not None and other is not kind
        ]
        known = names_list((row.name for row in kind.rows), 30)
        if outer and not kind.rows:
            return "write `NUMBER = failure_mode`"
        legal = f"there are {known}" if known else "write `NUMBER = failure_mode`"
        return f"it is a setting of {outer[0]}; here {legal}" if len(outer) == 1 else legal

    def _block(self, result: Settings, node: ast.Block, owner: str) -> None:
        row = self._row(node.name, result.kind, result)
        if row is None:
            return
        if isinstance(row.value, table.Computed) and row.value.block is not None:
            self._computed_block(result, node, row.name, KINDS[row.value.block])
            return
        if not isinstance(row.value, table.BlockValue):
            wants_map = isinstance(row.value, table.Computed) and row.value.shape == "map"
            form = "{ key: value }" if wants_map else "..."
            self._report(
                diagnostic(
                    "ORC202",
                    f"`{row.name}` is a setting, not a block",
                    node.name.span,
                    help=f"write `{row.name} = {form}`",
                )
            )
            return
        labels = self._labels(row.name, row.value, node)
        if not labels:
            return
        shown = f"`{' '.join((row.name, *(n.text for n in node.labels)))}`"
        of = f" of {owner}" if row.name in ("policy",) else ""
        inner = self._body(node.body, KINDS[row.value.kind], shown + of, node.name.span)
        result.blocks.setdefault(row.name, []).extend(
            LabelledBlock(entity, node.span, inner, name) for entity, name in labels
        )
        result.spans.setdefault(row.name, node.name.span)

    def _computed_block(self, result: Settings, node: ast.Block, name: str, kind: Kind) -> None:
        """`env { inherit = [...]  set = { ... } }`: as `env = { ... }`, with more next to it."""
        if node.labels:
            self._report(_takes_no_name(name, node))
            return
        inner = self._body(node.body, kind, f"`{name}`", node.name.span)
        result.spans[name] = node.name.span
        if "set" in inner.exprs:
            result.exprs[name] = inner.exprs["set"]
        result.values.update(inner.values)
        result.spans.update({n: span for n, span in inner.spans.items() if n != "set"})

    def _labels(
        self, name: str, value: table.BlockValue, node: ast.Block
    ) -> list[tuple[Entity | str | None, ast.Name | None]]:
        """What a block is about, each with its place; empty where that is wrong."""
        if not value.label:
            if node.labels:
                self._report(_takes_no_name(name, node))
            return [(None, None)]
        found: list[tuple[Entity | str | None, ast.Name | None]] = []
        if value.several and len(node.labels) > 1:
            for label in node.labels:
                entity = self._label(name, value, label)
                if any(entity is other for other, _ in found):
                    self._report(diagnostic("ORC105", f"`{label.text}` appears twice", label.span))
                elif entity is not None:
                    found.append((entity, label))
            return found
        if len(node.labels) != 1:
            self._report(
                diagnostic(
                    "ORC202",
                    f"`{name}` needs a name"
                    if value.declares
                    else f"`{name}` needs the name of {one_of(value.label)}",
                    node.name.span if not node.labels else node.labels[1].span,
                    help=f"write `{name} NAME {{ ... }}`",
                )
            )
            return []
        entity = self._label(name, value, node.labels[0])
        return [] if entity is None else [(entity, node.labels[0])]

    def _label(self, name: str, value: table.BlockValue, label: ast.Name) -> Entity | str | None:
        if value.declares:
            return label.text
        if name == "mock" and label.text == "orchestrator" and not self._scope.find(label.text):
            return label.text
        return self._scope.lookup(label.text, value.label, label.span, f"`{name}`")

    def _numbered(self, result: Settings, node: ast.NumberedSetting) -> None:
        if result.kind.numbered is None:
            self._report(
                diagnostic(
                    "ORC103",
                    f"{result.kind.title} have no numbered settings",
                    node.span,
                    help="`NUMBER = failure_mode` belongs in `on_status` and `on_exit`",
                )
            )
            return
        if node.number in result.numbered:
            self._report(diagnostic("ORC105", f"`{node.number}` is set twice", node.span))
            return
        low, high = _NUMBERS[result.kind.name]
        if not low <= node.number <= high:
            what = "an HTTP status" if result.kind.name == "on_status" else "an exit code"
            self._report(
                diagnostic(
                    "ORC202",
                    f"{what} is between {low} and {high}, got {node.number}",
                    node.span,
                )
            )
            return
        mode = self._names.mode(str(node.number), node.value)
        if mode is not None:
            result.numbered[node.number] = mode

    # ------------------------------------------------------------ settings

    def _setting(self, result: Settings, node: ast.Setting) -> None:
        row = self._row(node.name, result.kind, result)
        if row is None:
            return
        name, expr = row.name, node.value
        result.spans[name] = expr.span
        match row.value:
            case table.BlockValue(words=words):
                if isinstance(expr, ast.Variable) and expr.name in words:
                    result.values[name] = expr.name
                    return
                if isinstance(expr, ast.Null):
                    return
                instead = "".join(f" or `{name} = {word}`" for word in words)
                self._report(
                    diagnostic(
                        "ORC202",
                        f"`{name}` is a block, not a setting",
                        node.name.span,
                        help=f"write `{name} {{ ... }}`{instead}",
                    )
                )
            case table.Text():
                if self._is_text(name, expr):
                    result.exprs[name] = expr
            case table.Computed(shape=shape):
                if self._has_shape(name, expr, shape):
                    result.exprs[name] = expr
            case _:
                self._names.items = result.items.setdefault(name, [])
                self._names.unresolved = False
                value = self._constant(name, row.value, expr)
                if self._names.unresolved:
                    result.partial.add(name)
                if value is not None:
                    result.values[name] = value

    def _is_text(self, name: str, expr: ast.Expr) -> bool:
        wrong = (
            ast.Number, ast.Quantity, ast.Boolean, ast.Null, ast.ListExpr, ast.MapExpr,
        )  # fmt: skip
        if isinstance(expr, wrong):
            self._leaves.mismatch(
                name, "a text", expr, help='write `"..."`, `"""..."""` or `file("x.j2")`'
            )
            return False
        return True

    def _has_shape(self, name: str, expr: ast.Expr, shape: str) -> bool:
        literal = (ast.Number, ast.Quantity, ast.Boolean, ast.Null, ast.String)
        if shape == "list" and isinstance(expr, (*literal, ast.MapExpr)):
            help = "write `[program, argument, ...]`; there is no shell" if name == "run" else None
            fix = None
            if isinstance(expr, ast.String) and name == "run" and "{{" not in expr.value:
                words = ", ".join(f'"{word}"' for word in expr.value.split())
                help = f"write `run = [{words}]`; there is no shell"
            self._leaves.mismatch(name, "a list", expr, help=help, fix=fix)
            return False
        if shape == "list" and isinstance(expr, ast.ListExpr) and not expr.items:
            message = f"`{name}` needs at least one item"
            self._report(diagnostic("ORC202", message, expr.span, help="name the program to run"))
            return False
        if shape == "map" and isinstance(expr, (*literal, ast.ListExpr)):
            self._leaves.mismatch(name, "a map", expr, help=f"write `{name} = {{ key: value }}`")
            return False
        return True

    def _constant(self, name: str, value: table.Value, expr: ast.Expr) -> Any:
        match value:
            case table.Names():
                return self._names.names(name, value, expr)
            case table.Mode():
                return self._names.mode(name, expr)
            case table.Modes():
                self._names.each_once(name, expr)
                return self._list(name, "a list of failure modes", expr, self._names.mode)
            case table.Strings():
                return self._list(name, "a list of strings", expr, self._string)
            case table.ChoiceOrStrings() if isinstance(expr, ast.ListExpr):
                return self._list(name, "a list of strings", expr, self._string)
            case table.Ints():
                return self._list(name, "a list of ints", expr, self._plain_int)
            case table.Words():
                self._names.each_once(name, expr)
                return self._list(name, "a list of names", expr, self._word)
            case table.Constant():
                return self._any_constant(name, expr)
        return self._folder.fold(
            expr,
            lambda leaf: self._leaves.leaf(name, value, leaf),
            lambda given, span: self._leaves.param_value(name, value, given, span),
        )

    def _list(
        self,
        name: str,
        wanted: str,
        expr: ast.Expr,
        read: Callable[[str, ast.Expr], Any],
    ) -> tuple[Any, ...] | None:
        if not isinstance(expr, ast.ListExpr):
            help = f"write `{name} = [{expr.span.text}]`" if len(expr.span.text) < 40 else None
            fix = Fix("make it a list", (Edit(expr.span, f"[{expr.span.text}]"),)) if help else None
            self._leaves.mismatch(name, wanted, expr, help=help, fix=fix)
            return None
        values = [read(name, item) for item in expr.items]
        return tuple(value for value in values if value is not None)

    def _string(self, name: str, expr: ast.Expr) -> str | None:
        value = self._folder.fold(
            expr,
            lambda leaf: self._leaves.leaf(name, table.Str(), leaf),
            lambda given, span: self._leaves.param_value(name, table.Str(), given, span),
        )
        return value if isinstance(value, str) else None

    def _plain_int(self, name: str, expr: ast.Expr) -> int | None:
        value = self._leaves.leaf(name, table.Int(minimum=0), expr)
        return value if isinstance(value, int) else None

    def _word(self, name: str, expr: ast.Expr) -> str | None:
        if isinstance(expr, ast.Variable):
            return expr.name
        self._leaves.mismatch(name, "a name without quotes", expr)
        return None

    def _any_constant(self, name: str, expr: ast.Expr) -> Any:
        try:
            value = constant_value(expr, self._file_value)
        except NotConstant as error:
            written = dotted_text(error.span)
            self._report(
                diagnostic(
                    "ORC202",
                    f"`{name}` needs a constant, got {written}",
                    error.span,
                    help="write strings in quotes" if written.startswith("the name") else None,
                )
            )
            return None
        return JSON_NULL if value is None else value

    def _file_value(self, path: ast.String) -> Any:
        text = self._file_text(path)
        return FileText(path.value, text)

    def _report(self, found: Diagnostic) -> None:
        self._scope.diagnostics.append(found)


#: What the numbers of a block may be.
_NUMBERS = {"on_status": (100, 599), "on_exit": (0, 255)}

#: What is written for a setting that must be there, by the kind of body and its name.
_SUPPLIED = {
    ("orchestrator", "policy"): "policy { max_rounds = 8 }",
    ("policy", "max_rounds"): "max_rounds = 8",
    ("retry", "max"): "max = 2",
}

_EXAMPLES = {
    ("orchestrator", "policy"): "policy { max_rounds = 8 }",
    ("policy", "max_rounds"): "max_rounds = 8",
    ("", "effect"): "effect = read",
    ("", "model"): "model = NAME",
    ("", "prompt"): 'prompt = "..."',
    ("retry", "max"): "max = 2",
    ("", "call"): 'call = "package.module:function"',
    ("", "run"): 'run = ["program", "argument"]',
    ("", "goal"): 'goal = "..."',
    ("", "workers"): "workers = [NAME]",
    ("", "id"): 'id = "provider/model"',
}


def _takes_no_name(name: str, node: ast.Block) -> Diagnostic:
    return diagnostic(
        "ORC202",
        f"`{name}` takes no name",
        node.labels[0].span,
        help=f"write `{name} {{ ... }}`",
    )


def dotted_text(span: Span) -> str:
    """A piece of source in a message: a name as a name, anything else as an expression."""
    text = span.text
    return f"the name `{text}`" if re.fullmatch(r"[\w.]+", text) else "an expression"
