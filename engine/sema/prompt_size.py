"""ORC311: prompts that do not fit their model's context window when every value is at its longest.

A prompt's worst case is its written text and the longest each printed value can be, as far as its
type bounds it. A value without a bound counts as nothing, so the number is never more than what the
types allow. Conditions are not judged: the longer branch counts, but for tests of `loop`, which
cannot all hold, where the shorter does. The schema of a worker's output is sent along and counts
too. Four characters count as a token.

Runs on programs without errors only. Measures; renders nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import nodes

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.prices import look_up
from engine.schemes import built_in
from engine.sema.expressions.environment import fence, json_text
from engine.sema.expressions.positions import TemplateFault, parse_template
from engine.sema.expressions.template import Template, TemplateFunction
from engine.sema.model import Model, Program, Worker
from engine.sema.names.scope import Scope
from engine.sema.templates.flow_facts import path_of
from engine.sema.templates.value_size import (
    KnownValue,
    Widths,
    field_type,
    item_type,
    most_items,
    printed_length,
)
from engine.sema.types.definitions import ANY, STRING, Constrained, Record, Type
from engine.source import Span
from engine.syntax import ast

__all__ = ["check_prompt_sizes", "longest_text"]

#: What a token is taken to be. Real ones are longer in English prose and shorter elsewhere.
CHARACTERS_A_TOKEN = 4
#: No prompt below so many tokens is held against the price table, which takes time to read.
_SMALL = 2_000
#: How many nodes of a prompt are measured, its templates' included; the rest counts as nothing.
_MOST_NODES = 20_000

_SAME_LENGTH = frozenset(
    ["capitalize", "e", "escape", "indent", "lower", "string", "title", "trim", "upper", "wordwrap"]
)
_SAME_ITEMS = frozenset(["list", "reverse", "sort", "unique"])


PROMPT_OVER_CONTEXT = Rule(
    code="ORC311",
    name="prompt-over-context",
    severity="error",
    summary=("A prompt with its values at their longest does not fit the model's context window."),
    why="A provider refuses such a prompt, and the run finds out only when values are long.",
    bad="""\
schema Page = string @length(max: 100_000)
worker tell(pages: Page[] @items(max: 20)) -> string via llm {
  model = fast
  prompt = "{% for p in pages %}{{ p }}{% endfor %}"
}""",
    good="""\
schema Page = string @length(max: 100_000)
worker tell(pages: Page[] @items(max: 5)) -> string via llm {
  model = fast
  prompt = "{% for p in pages %}{{ p }}{% endfor %}"
}""",
    allowable=True,
)


def check_prompt_sizes(
    program: Program, scopes: Iterable[Scope], report: Callable[[Diagnostic], None]
) -> None:
    """Report each prompt that can be longer than what its model takes.

    Args:
        program: A program without errors.
        scopes: The names of its modules, for where things are written.
    """
    for scope in scopes:
        for entity in scope.own("worker", "verifier", "orchestrator"):
            node = entity.declaration
            assert isinstance(node, ast.WorkerDecl | ast.VerifierDecl | ast.OrchestratorDecl)
            at = _place(node.body)
            if at is None:
                continue
            found = _prompt_of(program, entity.canonical)
            if found is None:
                continue
            model, inputs, texts = found
            worker = program.workers.get(entity.canonical)
            found_here = _problem(entity.name, model, inputs, texts, worker)
            if found_here is not None:
                message, help_text = found_here
                report(diagnostic("ORC311", message, at, help=help_text))


def longest_text(template: Template, names: Mapping[str, Type]) -> int:
    """The most characters a template renders to, for names of these types."""
    return _Measure().template(template, names)


def _place(body: ast.Body) -> Span | None:
    """Where the setting of the prompt is named."""
    for member in body.members:
        if isinstance(member, ast.Setting) and member.name.text in ("prompt", "goal"):
            return member.name.span
    return None


def _prompt_of(program: Program, name: str) -> tuple[Model, Type, list[Template]] | None:
    """The model of a callable, the type of its inputs and the texts of its prompt."""
    if name in program.orchestrators:
        loop = program.orchestrators[name]
        parts: list[Any] = [loop.instructions, loop.goal]
        model, inputs = loop.model, loop.inputs.type
    else:
        owner = program.workers.get(name) or program.verifiers[name]
        if owner.facts.model is None:
            return None
        parts = [owner.settings.get("system"), owner.settings.get("prompt")]
        model, inputs = owner.facts.model, owner.inputs.type
    texts = [part for part in parts if isinstance(part, Template)]
    return program.models[model], inputs, texts


def _problem(
    name: str, model: Model, inputs: Type, texts: list[Template], worker: Worker | None
) -> tuple[str, str] | None:
    """Message and help, if the texts and the output's schema can be longer than the model takes."""
    fields = inputs.fields if isinstance(inputs, Record) else ()
    names = {field.name: field.type for field in fields}
    measure = _Measure()
    size = sum(measure.template(text, names) for text in texts)
    if worker is not None and worker.output.schema.get("type") != "string":
        size += len(json_text(worker.output.schema))
    tokens = size // CHARACTERS_A_TOKEN
    room = _room(model, tokens)
    if room is None or tokens <= room:
        return None
    help_text = "shorten it, or take a model with a larger context window"
    widest, path = measure.largest or (0, "")
    most = widest // CHARACTERS_A_TOKEN
    if most > tokens // 4:
        help_text = (
            f"`{path}` alone can take {most:,} of them; bound it more tightly "
            "(`@length`, `@items`), or take a model with a larger context window"
        )
    return (
        f"the prompt of `{name}` has at worst {tokens:,} tokens, "
        f"model `{model.name}` takes {room:,}",
        help_text,
    )


def _room(model: Model, tokens: int) -> int | None:
    """How many tokens a prompt may have; None if that is not known or cannot matter."""
    if model.context is not None:
        # A model that may answer to the end of its window says nothing about its prompts.
        kept = model.max_tokens if model.max_tokens < model.context else 0
        return model.context - kept
    if tokens < _SMALL or built_in(model.id) is not None:
        return None
    # The table tells how long a prompt may be, its answer aside.
    listed = look_up(model.id)
    return None if listed is None else listed.context


class _Measure:
    """Adds up one prompt.

    Attributes:
        largest: The printed value that adds most: how many characters, and what it is called.
        widths: Measures types.
        times: How often what is being measured is printed: loops multiply it.
    """

    def __init__(self) -> None:
        self.largest: tuple[int, str] | None = None
        self.widths = Widths()
        self.times = 1
        self._left = _MOST_NODES
        self._trees: dict[str, nodes.Template] = {}

    def template(self, template: Template, given: Mapping[str, Type]) -> int:
        """The most characters a template renders to."""
        if "{" not in template.text:
            return len(template.text)
        known = {name: KnownValue(value) for name, value in template.variables.items()}
        return self.source(template, template.text, {**known, **given})

    def source(self, template: Template, text: str, names: dict[str, Type]) -> int:
        """The same for a text that a template includes."""
        try:
            tree = self._trees.get(text) or parse_template(text)
            self._trees[text] = tree
            if any(isinstance(node, nodes.Extends) for node in tree.body):
                # What is printed is in another file, with blocks put in.
                return 0
            return _Scope(self, template, names).body(tree.body)
        except (TemplateFault, RecursionError):
            return 0

    def spent(self) -> bool:
        """Counts one more node; whether that is too many."""
        self._left -= 1
        return self._left < 0

    def saw(self, node: nodes.Node, size: int) -> None:
        """Remember a printed value if it is the one that adds most."""
        path = path_of(node.node if isinstance(node, nodes.Filter) and node.node else node)
        if path is not None and size * self.times > (self.largest or (0, ""))[0]:
            self.largest = (size * self.times, path)


class _Scope:
    """Measures the statements of one scope of a template, whose names have these types."""

    def __init__(self, measure: _Measure, template: Template, names: dict[str, Type]) -> None:
        self._measure = measure
        self._template = template
        self._names = names

    def _inner(self, names: Mapping[str, Type]) -> _Scope:
        return _Scope(self._measure, self._template, {**self._names, **names})

    # ------------------------------------------------------------ statements

    def body(self, body: list[nodes.Node]) -> int:
        """The most characters that statements print."""
        return sum(self._statement(node) for node in body)

    def _statement(self, node: nodes.Node) -> int:
        if self._measure.spent():
            return 0
        match node:
            case nodes.Output():
                return sum(self._output(child) for child in node.nodes)
            case nodes.For():
                return self._loop(node)
            case nodes.If():
                return self._condition(node)
            case nodes.Assign():
                self._bind(node.target, self._bound(node.node))
            case nodes.AssignBlock():
                self._bind(node.target, ANY)
            case nodes.Macro():
                self._names[node.name] = ANY
            case nodes.Import():
                self._names[node.target] = ANY
            case nodes.FromImport():
                for entry in node.names:
                    self._names[entry if isinstance(entry, str) else entry[1]] = ANY
            case nodes.With():
                inner = self._inner({})
                for target, value in zip(node.targets, node.values, strict=True):
                    inner._bind(target, self._bound(value))
                return inner.body(node.body)
            case nodes.Block() | nodes.Scope() | nodes.ScopedEvalContextModifier():
                return self._inner({}).body(node.body)
            case nodes.Include():
                return self._included(node)
        return 0

    def _output(self, node: nodes.Node) -> int:
        size = self.size(node)
        if not isinstance(node, nodes.TemplateData):
            self._measure.saw(node, size)
        return size

    def _loop(self, node: nodes.For) -> int:
        over = self.type_of(node.iter)
        if isinstance(over, KnownValue) and isinstance(over.value, list | tuple):
            total = sum(self._pass(node, KnownValue(item)) for item in over.value)
        else:
            times, before = most_items(over), self._measure.times
            self._measure.times *= times
            total = times * self._pass(node, item_type(over)) if times else 0
            self._measure.times = before
        return max(total, self._inner({}).body(node.else_))

    def _pass(self, node: nodes.For, item: Type) -> int:
        """What a loop prints for one item."""
        inner = self._inner({"loop": ANY})
        inner._bind(node.target, item)
        return inner.body(node.body)

    def _condition(self, node: nodes.If) -> int:
        sizes: list[int] = []
        for branch in [node, *node.elif_]:
            test = self.type_of(branch.test)
            if isinstance(test, KnownValue) and not test.value:
                continue
            sizes.append(self._inner({}).body(branch.body))
            if isinstance(test, KnownValue):
                break
        else:
            sizes.append(self._inner({}).body(node.else_))
        tests = [branch.test for branch in [node, *node.elif_]]
        of_loop = any(
            name.name == "loop"
            for test in tests
            for name in [test, *test.find_all(nodes.Name)]
            if isinstance(name, nodes.Name)
        )
        return min(sizes) if of_loop else max(sizes)

    def _bind(self, target: nodes.Node, type_: Type) -> None:
        if isinstance(target, nodes.Name):
            self._names[target.name] = type_
        elif isinstance(target, nodes.Tuple):
            for item in target.items:
                self._bind(item, ANY)

    def _bound(self, node: nodes.Node) -> Type:
        """The type of a value that gets a name: a text as long as it can be, if nothing else."""
        found = self.type_of(node)
        return Constrained(STRING, {"maxLength": self.size(node)}) if found is ANY else found

    def _included(self, node: nodes.Include) -> int:
        named = node.template
        if not isinstance(named, nodes.Const) or not isinstance(named.value, str):
            return 0
        text = self._template.source_of(named.value)
        if text is None:
            return 0
        return self._measure.source(self._template, text, dict(self._names))

    # ------------------------------------------------------------ expressions

    def type_of(self, node: nodes.Node) -> Type:
        """The type of an expression with its constraints; `json` where it is not known."""
        match node:
            case nodes.Const():
                return KnownValue(node.value)
            case nodes.Name():
                return self._names.get(node.name, ANY)
            case nodes.Getattr():
                return field_type(self.type_of(node.node), node.attr)
            case nodes.Getitem() if isinstance(node.arg, nodes.Const):
                owner, key = self.type_of(node.node), node.arg.value
                return field_type(owner, key) if isinstance(key, str) else item_type(owner)
            case nodes.Filter() if node.node is not None and node.name in _SAME_ITEMS:
                return self.type_of(node.node)
            case nodes.Filter() if node.node is not None and node.name in ("first", "last"):
                return item_type(self.type_of(node.node))
        return ANY

    def size(self, node: nodes.Node) -> int:
        """The most characters an expression prints as."""
        if self._measure.spent():
            return 0
        match node:
            case nodes.TemplateData():
                return len(node.data)
            case nodes.Const():
                return printed_length(node.value)
            case nodes.Concat():
                return sum(self.size(part) for part in node.nodes)
            case nodes.Or() | nodes.And():
                return max(self.size(node.left), self.size(node.right))
            case nodes.CondExpr():
                other = 0 if node.expr2 is None else self.size(node.expr2)
                return max(self.size(node.expr1), other)
            case nodes.Call():
                return self._call(node)
            case nodes.Filter() if node.node is not None:
                return self._filter(node, node.node)
        return self._measure.widths.of(self.type_of(node))

    def _call(self, node: nodes.Call) -> int:
        function = self.type_of(node.node)
        if not isinstance(function, KnownValue) or not isinstance(function.value, TemplateFunction):
            return 0
        called = function.value
        given = {name: KnownValue(value) for name, value in called.defaults.items()}
        names: dict[str, Type] = {name: given.get(name, ANY) for name in called.params}
        names.update(zip(called.params, map(self._bound, node.args), strict=False))
        names.update({keyword.key: self._bound(keyword.value) for keyword in node.kwargs})
        return self._measure.template(called.template, names)

    def _filter(self, node: nodes.Filter, operand: nodes.Expr) -> int:
        if node.name in _SAME_LENGTH:
            return self.size(operand)
        if node.name in _SAME_ITEMS or node.name in ("first", "last"):
            return self._measure.widths.of(self.type_of(node))
        if node.name in ("json", "tojson"):
            return self._measure.widths.of(self.type_of(operand), as_json=True)
        if node.name == "untrusted":
            return self.size(operand) + len(fence(""))
        if node.name in ("d", "default"):
            return max([self.size(operand), *(self.size(arg) for arg in node.args[:1])])
        if node.name == "truncate":
            most = self.type_of(node.args[0]) if node.args else KnownValue(255)
            if isinstance(most, KnownValue) and isinstance(most.value, int):
                return min(self.size(operand), most.value)
            return 0
        if node.name == "join" and not node.kwargs and len(node.args) < 2:
            items = self.type_of(operand)
            between = self.size(node.args[0]) if node.args else 0
            count = most_items(items)
            return count * self._measure.widths.of(item_type(items)) + max(count - 1, 0) * between
        return 0
