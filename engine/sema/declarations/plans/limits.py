"""How many tasks a plan becomes, against its `max_items`."""

from __future__ import annotations

from collections.abc import Callable

from engine.diagnostics import Diagnostic, diagnostic
from engine.sema.declarations.plans.names import StepInfo
from engine.sema.plans.counts import plus
from engine.source import Span

__all__ = ["check_counts"]


def check_counts(
    steps: list[StepInfo], max_items: int, at: Span, report: Callable[[Diagnostic], None]
) -> None:
    """ORC424, ORC421: the tasks that the steps become, at least and at most.

    Args:
        steps: The steps of the plan itself; what a `repeat` becomes is in it.
        at: Where `max_items` is set.
    """
    least = sum(step.least for step in steps)
    if least > max_items:
        report(
            diagnostic(
                "ORC424",
                f"the steps become at least {least} tasks; `max_items` allows {max_items}",
                at,
                help=f"write `max_items = {least}`, or more",
            )
        )
        return
    unknown = [step for step in steps if step.tasks is None]
    for step in unknown:
        report(
            diagnostic(
                "ORC421",
                f"nothing bounds the tasks of step `{step.name}` but `max_items`: with more than "
                f"{max_items}, it fails",
                step.span,
                help="add `take`, or `@items(max: N)` to the list that it selects from",
            )
        )
    most = plus(*(step.tasks for step in steps if step.tasks is not None)) or 0
    if not unknown and most > max_items:
        parts = ", ".join(f"`{step.name}` {step.tasks}" for step in steps if step.tasks)
        report(
            diagnostic(
                "ORC421",
                f"the steps may become {most} tasks; `max_items` allows {max_items}",
                at,
                help=f"at most: {parts}",
            )
        )
