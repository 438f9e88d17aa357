"""The most that a run can use, computed from the file alone.

`bounds_of` computes, for each orchestrator, the worst-case rounds, tasks, model calls, tokens and
dollars, and the path to its most expensive part. `sizes_of` gives the bounds on the sizes of
values. The formulas match the machine in `engine.runtime`. No run exceeds its bound; a property
test checks this with random programs and hostile answers. The price table that LiteLLM ships is
read as a file: nothing is imported, and no server is contacted.
"""

from engine.bounds.amounts import METRICS, Metric, Number, Spend
from engine.bounds.calls import Rate, least_attempt, rate_of
from engine.bounds.loop import (
    Bound,
    Step,
    TaskBounds,
    bound_of,
    bounds_of,
    revisions,
    task_bounds,
)
from engine.bounds.sizes import Sizes, sizes_as_data, sizes_as_text, sizes_of
from engine.bounds.text import amount, as_data, as_text, dollars

__all__ = [
    "METRICS",
    "Bound",
    "Metric",
    "Number",
    "Rate",
    "Sizes",
    "Spend",
    "Step",
    "TaskBounds",
    "amount",
    "as_data",
    "as_text",
    "bound_of",
    "bounds_of",
    "dollars",
    "least_attempt",
    "rate_of",
    "revisions",
    "sizes_as_data",
    "sizes_as_text",
    "sizes_of",
    "task_bounds",
]
