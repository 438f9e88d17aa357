"""Distillation: from what a planner decided in a good run to a `via plan` worker.

`origins` finds where a written value came from, `walks` finds lists that many tasks walk over,
`drafting` makes steps of decisions, `writing` makes a text that passes the checks. Nothing here
starts a run or changes a journal.
"""

from engine.history.distill.distilling import Distilled, distill_run

__all__ = ["Distilled", "distill_run"]
