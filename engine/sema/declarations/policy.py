"""Policies, limits and verify hooks: from read settings to the model.

What only the checker can know is checked here: a revision without a bound, a repetition of a
worker that must not be repeated. What follows from the whole program (recursion, precedence,
what a hook offers) is in `engine.sema.flow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.sema.expressions.template import Expression
from engine.sema.model import (
    CHANGING,
    Breaker,
    Budget,
    Context,
    Hook,
    HookPoint,
    Policy,
    Retry,
    Stall,
    WorkerLimit,
)
from engine.sema.names.scope import Entity
from engine.sema.settings.bodies import LabelledBlock, Settings
from engine.source import Span
from engine.syntax import ast

__all__ = ["read_budget", "read_hooks", "read_limits", "read_policy", "read_repair", "read_retry"]

#: Reads an expression of a hook, of its point and the worker it is about.
ReadTest = Callable[[ast.Expr, HookPoint, Entity | None], Expression]

_POINTS: tuple[HookPoint, ...] = get_args(HookPoint)


def read_retry(settings: Settings) -> Retry | None:
    """`retry { max on backoff }`, or None."""
    block = settings.block("retry")
    if block is None:
        return None
    return Retry(block.get("max") or 0, block.get("on") or (), block.get("backoff"))


def read_repair(settings: Settings) -> int:
    """`repair { max }`, else the default of the body it is in, else 0."""
    block = settings.block("repair")
    default = (settings.find("repair") or {}).get("max", 0)
    written = None if block is None else block.get("max")
    return int(default if written is None else written)


def read_budget(settings: Settings) -> Budget:
    """`budget { cost tokens time }`; no bounds where there is none."""
    block = settings.block("budget")
    if block is None:
        return Budget()
    return Budget(block.get("cost"), block.get("tokens"), block.get("time"))


def read_policy(settings: Settings | None) -> Policy:
    """`policy { ... }`; one round where `max_rounds` could not be read (that is reported)."""
    if settings is None:
        return Policy(max_rounds=1)
    stall = settings.block("stall")
    context = settings.block("context")
    breaker = settings.block("breaker")
    return Policy(
        max_rounds=settings.get("max_rounds") or 1,
        max_per_round=settings.get("max_per_round"),
        max_parallel=settings.get("max_parallel"),
        max_dispatches=settings.get("max_dispatches"),
        max_items=settings.get("max_items"),
        breaker=Breaker()
        if breaker is None
        else Breaker(breaker.get("after"), breaker.get("canary")),
        max_depth=settings.get("max_depth"),
        repair_max=read_repair(settings),
        budget=read_budget(settings),
        stall=None
        if stall is None
        else Stall(
            stall.get("after") or 1,
            stall.get("action") or "abort",
            stall.get("max_replans"),
            stall.get("sensitivity"),
        ),
        context=Context()
        if context is None
        else Context(
            context.get("keep_last"),
            context.get("preview"),
            context.get("compact_at"),
            context.get("show"),
        ),
        max_input_bytes=settings.get("max_input_bytes"),
        max_decision_bytes=settings.get("max_decision_bytes"),
        max_kept_bytes=settings.get("max_kept_bytes"),
    )


def read_limits(
    blocks: list[LabelledBlock], workers: tuple[Entity, ...], report: Callable[[Diagnostic], None]
) -> dict[str, WorkerLimit]:
    """`limit W { ... }` by worker; a limit of something never dispatched is reported."""
    limits: dict[str, WorkerLimit] = {}
    for block in blocks:
        if not isinstance(block.label, Entity):
            continue
        if workers and block.label not in workers:
            report(_not_a_worker("limit", block.label, block.settings.span))
            continue
        after = block.settings.get("after") or ()
        for entity, span in block.settings.items.get("after", ()):
            if workers and entity not in workers:
                report(
                    diagnostic(
                        "ORC703",
                        f"`{block.label.name}` waits for `{entity.name}`, "
                        "which is not in `workers`",
                        span,
                        help=f"add `{entity.name}` to `workers`, or remove it from `after`",
                    )
                )
        limits[block.label.canonical] = WorkerLimit(
            block.settings.get("max_dispatches"),
            tuple(entity.canonical for entity in after if not workers or entity in workers),
            read_budget(block.settings),
            block.settings.span,
            block.settings.get("show"),
        )
    return limits


def _not_a_worker(what: str, entity: Entity, span: Span) -> Diagnostic:
    return diagnostic(
        "ORC703",
        f"`{what} {entity.name}` has no effect: `{entity.name}` is not in `workers`",
        span,
        help=f"add `{entity.name}` to `workers`, or remove this block",
    )


def _label_span(block: LabelledBlock, blocks: list[LabelledBlock]) -> Span:
    """Where a block is, or the one label of it that is meant where it has several."""
    several = sum(other.settings is block.settings for other in blocks) > 1
    return block.name.span if several and block.name is not None else block.settings.span


def read_hooks(
    verify: Settings | None,
    workers: tuple[Entity, ...],
    effects: Mapping[str, str],
    test: ReadTest,
    report: Callable[[Diagnostic], None],
) -> tuple[Hook, ...]:
    """The entries of `verify`, in the order of the points and, within one, as written.

    A block about several workers becomes a hook for each of them.

    Args:
        effects: The effect of each worker by canonical name.
        test: Reads the expression of `when` with the names that a hook of this point offers.
    """
    if verify is None:
        return ()
    hooks: list[Hook] = []
    for point in _POINTS:
        for block in verify.blocks.get(point, ()):
            entity = block.label if isinstance(block.label, Entity) else None
            if entity is not None and workers and entity not in workers:
                report(_not_a_worker(point, entity, _label_span(block, verify.blocks[point])))
                continue
            hook = _hook(point, block, entity, test, report)
            hooks.append(hook)
            effect = effects.get(entity.canonical) if entity is not None else None
            repeats = point == "after_dispatch" and hook.on_fail == "revise"
            if repeats and entity is not None and effect in CHANGING:
                report(
                    diagnostic(
                        "ORC503",
                        f"`revise` would run `{entity.name}` again, whose effect is `{effect}`",
                        block.settings.spans.get("on_fail", block.settings.span),
                        help="check before it runs (`before_dispatch`), or use "
                        "`on_fail = abort` or `escalate`",
                    )
                )
    return tuple(hooks)


def _hook(
    point: HookPoint,
    block: LabelledBlock,
    entity: Entity | None,
    test: ReadTest,
    report: Callable[[Diagnostic], None],
) -> Hook:
    settings = block.settings
    when = settings.exprs.get("when")
    on_fail = settings.get("on_fail")
    if on_fail == "revise" and "max_revisions" not in settings.written:
        at = settings.spans["on_fail"]
        report(
            diagnostic(
                "ORC402",
                "`on_fail = revise` needs `max_revisions`",
                at,
                help="say how often it may be revised: `max_revisions = 1`",
                fix=Fix(
                    "allow one revision",
                    (Edit(Span(at.source, at.end, at.end), "  max_revisions = 1"),),
                ),
            )
        )
    return Hook(
        point=point,
        worker=None if entity is None else entity.canonical,
        verifiers=tuple(verifier.canonical for verifier in settings.get("with") or ()),
        on_fail=on_fail,
        span=settings.span,
        max_revisions=settings.get("max_revisions"),
        then=settings.get("then"),
        every=settings.find("every") or 1,
        then_written="then" in settings.written,
        eager=settings.find("eager") == "reads",
        when=None if when is None else test(when, point, entity),
        otherwise=tuple(verifier.canonical for verifier in settings.get("else") or ()),
        endorse=tuple(settings.find("endorse") or ()),
    )
