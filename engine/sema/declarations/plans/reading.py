"""Reads the body of a `via plan` worker: its steps in order, and its result.

One `PlanReader` for a module, used when the contracts of all workers are known. A step with a fault
still gets its type, as far as that goes, so that one fault does not cause others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.sema.declarations.callables import Signature
from engine.sema.declarations.plans.calls import Called, CallReader
from engine.sema.declarations.plans.compiling import test_of, value_of
from engine.sema.declarations.plans.limits import check_counts
from engine.sema.declarations.plans.names import (
    ITEM_NAMES,
    Known,
    PlanNames,
    StepInfo,
    outputs_of,
)
from engine.sema.declarations.plans.selections import SHAPERS, Chosen, read_selection
from engine.sema.declarations.plans.tests import check_test, proved
from engine.sema.declarations.plans.typing import PlanTyper, kinds_of, may_be_null
from engine.sema.declarations.prompts import Texts
from engine.sema.names.scope import Entity, Scope
from engine.sema.plans.conditions import Test
from engine.sema.plans.counts import plus, reduce_calls, times
from engine.sema.plans.steps import EachStep, Plan, ReduceStep, RepeatStep, Step, TaskStep
from engine.sema.plans.values import ABSENT, FromLast, Parts
from engine.sema.settings.bodies import LabelledBlock, Settings
from engine.sema.suggest import closest, names_list
from engine.sema.templates.flow_facts import Names
from engine.sema.templates.typing_rules import not_null
from engine.sema.types.definitions import (
    ANY,
    NULL,
    Array,
    Field,
    Optional,
    StepOutputs,
    Type,
    union_of,
)
from engine.syntax import ast

__all__ = ["PlanReader", "ReadPlan"]

#: The settings of each kind of step, besides `when` and `after`.
_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "task": ("call",),
    "each": ("call", "each", *SHAPERS, "label", "parallel", "in_order", "tolerate"),
    "reduce": ("call", "reduce", *SHAPERS, "size", "empty"),
    "repeat": ("repeat", "step"),
}
_EVERY = ("when", "after")
_RESERVED = (*ITEM_NAMES, "param", "secret", "true", "false", "null", "none")


@dataclass(eq=False)
class ReadPlan:
    """A plan as read, with what a check of the whole program needs of it.

    Attributes:
        steps: Every step, those inside a `repeat` too.
        calls: The workers that it calls, each with the place of its name.
        reduced: Those of a `reduce`.
        is_sound: Whether nothing is wrong with it.
    """

    plan: Plan
    steps: list[StepInfo] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)
    reduced: list[Called] = field(default_factory=list)
    is_sound: bool = True


class PlanReader:
    """Reads the plans of one module.

    Args:
        signatures: The inputs and output of every callable of the program.
    """

    def __init__(self, scope: Scope, texts: Texts, signatures: Mapping[Entity, Signature]) -> None:
        self._scope = scope
        self._typer = PlanTyper(scope, texts)
        self._calls = CallReader(scope, self._typer, signatures)
        self._read = ReadPlan(Plan((), None, 1))
        self._most: dict[str, int | None] = {}

    def read(
        self, node: ast.WorkerDecl, settings: Settings, inputs: tuple[Field, ...], output: Type
    ) -> ReadPlan:
        """Read one plan."""
        if self._scope.observer is not None:
            self._scope.observer.enter(node)
        self._read = ReadPlan(Plan((), None, 1))
        self._most = {}
        before = len(self._scope.diagnostics)
        names = PlanNames({field.name: field for field in inputs})
        steps, names = self._steps(settings.blocks.get("step", []), names, "")
        result = None
        expr = settings.exprs.get("result")
        if expr is not None:
            type_ = self._typer.type_of(expr, names)
            if type_ is not None and self._typer.fits(
                expr, type_, output, f"the output of `{node.name.text}`", names
            ):
                result = value_of(expr, names, self._typer)
        max_items = settings.values.get("max_items")
        self._read.plan = Plan(steps, result, max_items or 1, dict(self._most))
        found = self._scope.diagnostics[before:]
        self._read.is_sound = not any(item.severity == "error" for item in found)
        if max_items is not None and self._read.is_sound:
            own = list(names.steps.values())
            check_counts(own, max_items, settings.spans["max_items"], self._typer.report)
        return self._read

    # ------------------------------------------------------------ steps

    def _steps(
        self, blocks: list[LabelledBlock], names: PlanNames, head: str
    ) -> tuple[tuple[Step, ...], PlanNames]:
        """Steps in order, and what a place after them sees."""
        later = {b.name.text: b.name.span for b in blocks if b.name is not None}
        inside = {
            inner.name.text: block.name.text
            for block in blocks
            for inner in block.settings.blocks.get("step", [])
            if block.name is not None and inner.name is not None
        }
        names = replace(names, later={**names.later, **later}, inside={**names.inside, **inside})
        made: list[Step] = []
        for block in blocks:
            if block.name is None or not self._is_new(block.name, names):
                continue
            step, info = self._step(block, block.name, names, head)
            self._read.steps.append(info)
            self._most[head + info.name] = info.tasks
            rest = {name: span for name, span in names.later.items() if name != info.name}
            names = replace(names, steps={**names.steps, info.name: info}, later=rest)
            if self._scope.observer is not None:
                self._scope.observer.step(info.span, info.span, info.type)
            if step is not None:
                made.append(step)
        return tuple(made), names

    def _is_new(self, name: ast.Name, names: PlanNames) -> bool:
        text = name.text
        if text in _RESERVED or "." in text:
            why = "expressions see something else under this name"
            message = f"a step may not be called `{text}`" + ("" if "." in text else f": {why}")
            self._report(diagnostic("ORC102", message, name.span, help="rename it"))
            return False
        if text in names.steps:
            first = names.steps[text].span
            self._report(
                diagnostic(
                    "ORC102",
                    f"step `{text}` is already declared at line {first.begin_position.line}",
                    name.span,
                    help="rename one of them",
                    related=(Related("first declared here", first),),
                )
            )
            return False
        if text in names.inputs:
            self._report(
                diagnostic("ORC102", f"step `{text}` hides an input", name.span, help="rename it")
            )
            return False
        return True

    def _step(
        self, block: LabelledBlock, name: ast.Name, names: PlanNames, head: str
    ) -> tuple[Step | None, StepInfo]:
        settings = block.settings
        kind = self._kind(settings, name)
        when = self._test("when", settings, names)
        if "when" in settings.exprs:
            names = names.knowing(proved(settings.exprs["when"], names))
        common: dict[str, Any] = {
            "id": name.text,
            "when": when,
            "after": self._after(settings, names),
            "span": name.span,
        }
        info = StepInfo(name.text, name.span, ANY)
        optional = "when" in settings.written
        if kind == "repeat":
            step = self._repeat(settings, names, common, info, head)
        elif kind == "each":
            step = self._each(settings, names, common, info, when is not None)
        elif kind == "reduce":
            step = self._reduce(settings, names, common, info)
        else:
            step = self._task(settings, names, common, info)
        if optional:
            info.least = 0
        # A test with a fault says nothing of null: that is one fault, and one finding.
        if when is not None and kind != "each" and not may_be_null(info.type):
            info.type = info.type if info.type is ANY else Optional(info.type)
        return step, info

    def _kind(self, settings: Settings, name: ast.Name) -> str:
        """Which kind of step it is; reports settings that another kind has."""
        kinds = [kind for kind in ("repeat", "each", "reduce") if kind in settings.written]
        kind = kinds[0] if kinds else "task"
        if len(kinds) > 1:
            both = names_list([*kinds[:1], kinds[1]])
            self._report(
                diagnostic(
                    "ORC202",
                    f"step `{name.text}` does one thing, and here are {both}",
                    settings.spans.get(kinds[1], name.span),
                    help="make two steps of it",
                )
            )
        wrong = settings.written - {*_SETTINGS[kind], *_EVERY, *kinds}
        for setting in sorted(wrong, key=lambda it: settings.spans.get(it, name.span).start):
            owners = [f"`{k}`" for k in ("each", "reduce", "repeat") if setting in _SETTINGS[k]]
            self._report(
                diagnostic(
                    "ORC103",
                    f"`{setting}` has no meaning in step `{name.text}`",
                    settings.spans.get(setting, name.span),
                    help=f"it belongs in a step with {' or '.join(owners)}"
                    if owners and kind != "repeat"
                    else "the steps of a `repeat` make the calls",
                )
            )
        needed = {"task": ("call",), "each": ("call",), "reduce": ("call", "size")}
        for setting in needed.get(kind, ()):
            if setting not in settings.written:
                example = "call = worker(input=value)" if setting == "call" else "size = 20"
                self._report(
                    diagnostic(
                        "ORC104",
                        f"step `{name.text}` needs `{setting}`",
                        name.span,
                        help=f"add `{example}`",
                    )
                )
        return kind

    def _test(self, setting: str, settings: Settings, names: PlanNames) -> Test | None:
        expr = settings.exprs.get(setting)
        if expr is None or not check_test(expr, names, self._typer, setting):
            return None
        return test_of(expr, names, self._typer)

    def _after(self, settings: Settings, names: PlanNames) -> tuple[str, ...]:
        expr = settings.exprs.get("after")
        if expr is None:
            return ()
        if not isinstance(expr, ast.ListExpr):
            text = " ".join(expr.span.text.split())
            self._report(
                diagnostic(
                    "ORC202",
                    "`after` needs a list of steps",
                    expr.span,
                    help=f"write `after = [{text}]`" if len(text) < 40 else None,
                    fix=Fix("make it a list", (Edit(expr.span, f"[{text}]"),)),
                )
            )
            return ()
        found = [self._step_name(item, "after", names) for item in expr.items]
        return tuple(dict.fromkeys(name for name in found if name is not None))

    def _step_name(self, expr: ast.Expr, setting: str, names: PlanNames) -> str | None:
        """The step that a setting names; None if it names none (reported)."""
        name = expr.name if isinstance(expr, ast.Variable) else None
        if name is not None and name in names.steps:
            self._typer.read_step(name, expr.span, names)
            return name
        if self._scope.observer is not None and name is not None:
            seen = Names({each: step.type for each, step in names.steps.items()})
            self._scope.observer.name(expr.span, name, None, seen)
        if name is None:
            message = f"`{setting}` needs the name of a step"
            self._report(diagnostic("ORC202", message, expr.span))
        elif name in names.later:
            self._report(
                diagnostic(
                    "ORC710",
                    f"`{name}` is not an earlier step, as `{setting}` needs it",
                    expr.span,
                    help="move this step below it",
                    related=(Related("the step", names.later[name]),),
                )
            )
        else:
            near = closest(name, names.steps)
            known = names_list(names.steps)
            help = f"did you mean `{near}`?" if near else f"there is {known}" if known else None
            fix = Fix(f"write `{near}`", (Edit(expr.span, near),)) if near else None
            self._report(
                diagnostic("ORC712", f"there is no step `{name}`", expr.span, help=help, fix=fix)
            )
        return None

    # ------------------------------------------------------------ kinds of steps

    def _task(
        self, settings: Settings, names: PlanNames, common: dict[str, Any], info: StepInfo
    ) -> Step | None:
        called = self._calls.read(settings.exprs.get("call"), names)
        info.tasks = info.least = 1
        if called is None:
            return None
        self._called(called, info)
        info.type = called.output
        return TaskStep(**common, worker=called.worker, input=called.input)

    def _called(self, called: Called, info: StepInfo) -> None:
        self._read.calls.append(called)
        info.workers = (called.worker,)

    def _each(
        self,
        settings: Settings,
        names: PlanNames,
        common: dict[str, Any],
        info: StepInfo,
        optional: bool,
    ) -> Step | None:
        if "each" not in settings.exprs:
            return None
        chosen = read_selection(settings, "each", names, self._typer)
        called = self._calls.read(settings.exprs.get("call"), chosen.names)
        label = self._label(settings, chosen)
        info.depth, info.most, info.tasks = chosen.depth, chosen.most, chosen.most
        info.least = chosen.least
        output = ANY if called is None else called.output
        info.type = outputs_of(output, chosen.item, chosen.depth, optional)
        if called is None or not chosen.selection.sources:
            return None
        self._called(called, info)
        return EachStep(
            **common,
            worker=called.worker,
            input=called.input,
            each=chosen.selection,
            label=label,
            parallel=settings.get("parallel"),
            in_order=settings.get("in_order"),
            tolerate=settings.get("tolerate"),
        )

    def _label(self, settings: Settings, chosen: Chosen) -> Any:
        expr = settings.exprs.get("label")
        type_ = None if expr is None else self._typer.type_of(expr, chosen.names)
        if expr is None or type_ is None:
            return None
        if kinds_of(type_) <= {"array", "object", "null", "boolean"}:
            self._report(
                diagnostic(
                    "ORC202",
                    f"`label` needs a text, and this is `{type_}`",
                    expr.span,
                    help="name a text in the value, or join texts with `~`",
                )
            )
            return None
        return value_of(expr, chosen.names, self._typer)

    def _reduce(
        self, settings: Settings, names: PlanNames, common: dict[str, Any], info: StepInfo
    ) -> Step | None:
        if "reduce" not in settings.exprs:
            return None
        chosen = read_selection(settings, "reduce", names, self._typer)
        size = settings.values.get("size")
        parts = names.seeing(parts=Known(Array(chosen.item), Parts()))
        called = self._calls.read(settings.exprs.get("call"), parts)
        if size is not None and chosen.most is not None:
            # One value takes a call unless it has the type of the output.
            info.tasks = max(reduce_calls(chosen.most, size), min(1, chosen.most))
        info.least = 0 if size is None else reduce_calls(chosen.least, size)
        if called is None or size is None or not chosen.selection.sources:
            return None
        self._called(called, info)
        self._read.reduced.append(called)
        info.type = called.output
        if chosen.is_sound and called.is_sound and (chosen.most is None or chosen.most > size):
            again = names.seeing(parts=Known(Array(called.output), Parts()))
            self._calls.check_again(settings.exprs["call"], again)
        empty = ABSENT
        expr = settings.exprs.get("empty")
        type_ = None if expr is None else self._typer.type_of(expr, names)
        if expr is not None and type_ is not None:
            empty = value_of(expr, names, self._typer)
            if may_be_null(type_) or isinstance(expr, ast.Null):
                info.type = Optional(called.output)
            elif not self._typer.fits(expr, type_, called.output, "what the step gives", names):
                empty = ABSENT
        return ReduceStep(
            **common,
            worker=called.worker,
            input=called.input,
            reduce=chosen.selection,
            size=size,
            empty=empty,
        )

    def _repeat(
        self,
        settings: Settings,
        names: PlanNames,
        common: dict[str, Any],
        info: StepInfo,
        head: str,
    ) -> Step | None:
        block = settings.block("repeat")
        blocks = settings.blocks.get("step", [])
        if block is None:
            return None
        if not blocks:
            self._report(
                diagnostic(
                    "ORC104",
                    f"step `{info.name}` repeats nothing",
                    block.span,
                    help="write the steps of a pass after it: `step NAME { ... }`",
                )
            )
        start, start_type = self._start(block, names)
        last = union_of([start_type, self._given(block, blocks)])
        inner = names.seeing(last=Known(last, FromLast()))
        before = len(self._read.steps)
        within = f"{head}{info.name}."
        steps, seen = self._steps(blocks, inner, within)
        own = self._read.steps[before:]
        given = self._gives(block, own, seen)
        until = self._until(block, own, seen)
        passes = block.values.get("max")
        direct = [step for step in own if seen.steps.get(step.name) is step]
        info.tasks = times(passes, plus(*(step.tasks for step in direct)))
        info.least = sum(step.least for step in direct)
        for path in [path for path in self._most if path.startswith(within)]:
            self._most[path] = times(passes, self._most[path])
        info.workers = tuple(worker for step in own for worker in step.workers)
        if given is not None:
            info.type = _plain_list(seen.steps[given].type)
        if given is None or until is None or passes is None:
            return None
        return RepeatStep(
            **common,
            steps=steps,
            until=until,
            max=passes,
            gives=given,
            start=start,
            settle=block.get("settle"),
        )

    def _start(self, block: Settings, names: PlanNames) -> tuple[Any, Type]:
        expr = block.exprs.get("start")
        if expr is None:
            return None, NULL
        type_ = self._typer.type_of(expr, names)
        if type_ is None:
            return None, ANY
        return value_of(expr, names, self._typer), type_

    def _given(self, block: Settings, blocks: list[LabelledBlock]) -> Type:
        """The type of what a pass gives, before the steps of it are read."""
        expr = block.exprs.get("gives")
        name = expr.name if isinstance(expr, ast.Variable) else ""
        for inner in blocks:
            if inner.name is None or inner.name.text != name:
                continue
            settings = inner.settings
            deeper = settings.block("repeat")
            if deeper is not None:
                return self._given(deeper, settings.blocks.get("step", []))
            output = self._calls.output(settings.exprs.get("call"))
            if "each" in settings.written:
                return Array(output)
            return Optional(output) if "when" in settings.written else output
        return ANY

    def _gives(self, block: Settings, own: list[StepInfo], seen: PlanNames) -> str | None:
        expr = block.exprs.get("gives")
        if expr is None:
            return None
        inner = {step.name: step for step in own if seen.steps.get(step.name) is step}
        return self._step_name(expr, "gives", replace(seen, steps=inner, later={}))

    def _until(self, block: Settings, own: list[StepInfo], seen: PlanNames) -> Test | None:
        expr = block.exprs.get("until")
        if expr is None:
            return None
        end = self._typer.reading()
        test = self._test("until", block, seen)
        read = end()
        if test is not None and not read & {"last", *(step.name for step in own)}:
            names = names_list(step.name for step in own if seen.steps.get(step.name) is step)
            self._report(
                diagnostic(
                    "ORC423",
                    "`until` reads nothing that a pass changes",
                    expr.span,
                    help=f"read a step of the pass: {names}" if names else None,
                )
            )
        return test

    def _report(self, found: Diagnostic) -> None:
        self._typer.report(found)


def _plain_list(type_: Type) -> Type:
    """The type of what a step gives where only its outputs are seen, without its other views."""
    plain = not_null(type_)
    if not isinstance(plain, StepOutputs):
        return type_
    outputs = Array(plain.item)
    return Optional(outputs) if may_be_null(type_) else outputs
