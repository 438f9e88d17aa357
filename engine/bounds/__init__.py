"""What a run can take at most, computed from the file alone.

`bounds_of` gives, for each orchestrator, the worst-case rounds, tasks, model calls, tokens and
dollars, and the most expensive way there; `sizes_of` gives what values may take. The formulas are
those of the machine in `engine.runtime`: no run passes its bound, which a property test shows over
random programs and hostile answers. It reads the price table that LiteLLM ships as a file; nothing
is imported or asked.
"""

from engine.bounds.amounts import METRICS, Metric, Number, Spend
from engine.bounds.calls import Rate, least_attempt, rate_of
from engine.bounds.loop import Bound, Step, bound_of, bounds_of
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
    "amount",
    "as_data",
    "as_text",
    "bound_of",
    "bounds_of",
    "dollars",
    "least_attempt",
    "rate_of",
    "sizes_as_data",
    "sizes_as_text",
    "sizes_of",
]
