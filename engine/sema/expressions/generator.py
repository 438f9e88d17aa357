"""Templates compiled to Python that pays for its steps, and leaves nothing to Python's operators
that could take long.

A body that is run any number of times (of a loop, a macro, a block, an included file) begins by
paying for what is in it, counted when it is compiled: so straight code costs nothing by
itself. What depends on values goes through the environment: comparing, searching, cutting, and
lists and maps that are made. Comparisons with a number, a word, true, false or null are Python's
own, for they end at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, operators

from engine.sema.expressions.metering import CHARACTERS_PER_STEP

__all__ = ["Generator"]

#: Filters that give a number.
_NUMBERS = frozenset({"abs", "count", "float", "int", "length", "round", "wordcount"})


class Generator(CodeGenerator):
    """See the module's docstring."""

    def write_commons(self) -> None:
        """Each function of the code knows the meter."""
        super().write_commons()
        self.writeline("meter = environment.meter()")

    # ------------------------------------------------------------ bodies that pay

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        """A file that is included, and its blocks, pay at each time."""
        for block in node.find_all(nodes.Block):
            _pay(block.body)
        if any(not isinstance(part, nodes.Assign) for part in node.body):
            _pay(node.body)
        super().visit_Template(node, frame)

    def macro_body(self, node: nodes.Macro | nodes.CallBlock, frame: Frame) -> Any:
        """A macro pays at each call."""
        _pay(node.body)
        return super().macro_body(node, frame)

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        """A loop pays for each item, also for those its `if` leaves out."""
        _pay(node.body)
        if node.test is not None:
            toll = nodes.Const(None)
            toll.__dict__["orch_toll"] = 1 + _cost((node.test,))
            node.test = nodes.And(toll, node.test, lineno=node.lineno)
        super().visit_For(node, frame)

    def visit_ExprStmt(self, node: nodes.ExprStmt, frame: Frame) -> None:
        """A toll, as a statement."""
        toll = node.__dict__.get("orch_toll")
        if toll is None:
            super().visit_ExprStmt(node, frame)
            return
        self.writeline(f"meter.left -= {toll}")
        self.writeline("if meter.left < 0: environment.take(0)")

    def visit_Const(self, node: nodes.Const, frame: Frame) -> None:
        """A toll, as an expression; else the constant."""
        toll = node.__dict__.get("orch_toll")
        if toll is None:
            super().visit_Const(node, frame)
        else:
            self.write(f"environment.take({toll})")

    # ------------------------------------------------------------ operators

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """`a ~ b` prints values as templates do."""
        self.write("environment.concatenate((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        """Sides that may take long to compare are weighed."""
        if len(node.ops) == 1 and node.ops[0].op in ("in", "notin"):
            self._search(node.expr, node.ops[0], frame)
            return
        if any(operand.op in ("in", "notin") for operand in node.ops):
            self.fail("write `a < b and b in c` instead of `a < b in c`", node.lineno)
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        ends = [_ends_at_once(side) for side in sides]
        self.write("(")
        for index, side in enumerate(sides):
            if index:
                self.write(f" {operators[node.ops[index - 1].op]} ")
            beside = [*ends[max(0, index - 1) : index], *ends[index + 1 : index + 2]]
            is_plain = ends[index] or all(beside)
            self.write("" if is_plain else "environment.weighed(")
            self.visit(side, frame)
            self.write("" if is_plain else ")")
        self.write(")")

    def _search(self, wanted: nodes.Expr, operand: nodes.Operand, frame: Frame) -> None:
        among = operand.expr
        if isinstance(among, nodes.List | nodes.Tuple) and not any(_made(among.items)):
            self.write("(")
            self.visit(wanted, frame)
            self.write(f" {operators[operand.op]} ")
            self.visit(among, frame)
            self.write(")")
            return
        if operand.op == "notin":
            self.write("(not ")
        self.write("environment.holds(")
        self.visit(wanted, frame)
        self.write(", ")
        self.visit(among, frame)
        self.write("))" if operand.op == "notin" else ")")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        """`a[1:3]` is paid for."""
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.part(")
        self.visit(node.node, frame)
        for bound in (node.arg.start, node.arg.stop, node.arg.step):
            self.write(", ")
            self.visit(nodes.Const(None) if bound is None else bound, frame)
        self.write(")")

    # ------------------------------------------------------------ lists and maps

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        """`[a, b]`."""
        before, after = _made(node.items)
        self.write(before)
        super().visit_List(node, frame)
        self.write(after)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        """`(a, b)`."""
        before, after = _made(node.items) if node.ctx == "load" else ("", "")
        self.write(before)
        super().visit_Tuple(node, frame)
        self.write(after)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        """`{k: v}`, its keys looked at."""
        before, after = _made([pair.value for pair in node.items])
        self.write(before + "{")
        for pair in node.items:
            is_plain = isinstance(pair.key, nodes.Const)
            self.write("" if is_plain else "environment.key(")
            self.visit(pair.key, frame)
            self.write(": " if is_plain else "): ")
            self.visit(pair.value, frame)
            self.write(", ")
        self.write("}" + after)

    # ------------------------------------------------------------ what is not on offer

    def visit_ScopedEvalContextModifier(
        self, node: nodes.ScopedEvalContextModifier, frame: Frame
    ) -> None:
        """`{% autoescape %}`."""
        self.fail("`autoescape` is not on offer: prompts are not HTML", node.lineno)


def _made(items: Iterable[nodes.Expr]) -> tuple[str, str]:
    """What goes around a list or map that is made of these."""
    if all(isinstance(item, nodes.Const) for item in items):
        return "", ""
    return "environment.made(", ")"


def _ends_at_once(node: nodes.Expr) -> bool:
    """Whether comparing with a value of this node can never take long."""
    if isinstance(node, nodes.Filter):
        return node.name in _NUMBERS
    return isinstance(node, nodes.Const | nodes.Test | nodes.Compare | nodes.UnaryExpr)


def _pay(body: list[nodes.Node]) -> None:
    """Let a body begin by paying for what is in it."""
    toll = nodes.ExprStmt(nodes.Const(None), lineno=body[0].lineno if body else 1)
    toll.__dict__["orch_toll"] = 1 + _cost(body)
    body.insert(0, toll)


def _cost(body: Iterable[nodes.Node]) -> int:
    """The steps of carrying nodes out once; bodies that pay for themselves are left out."""
    total = 0
    for node in body:
        total += 1
        match node:
            case nodes.TemplateData():
                total += len(node.data) // CHARACTERS_PER_STEP
            case nodes.If():
                branches = [node, *node.elif_]
                total += _cost(branch.test for branch in branches)
                total += max(_cost(part) for part in (*(b.body for b in branches), node.else_))
            case nodes.For():
                total += _cost((node.iter, *node.else_))
            case nodes.CallBlock():
                total += _cost((node.call,))
            case nodes.Macro() | nodes.Block():
                continue
            case _:
                total += _cost(node.iter_child_nodes())
    return total
