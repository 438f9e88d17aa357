"""The plans of `via plan` workers: from the body as written to `engine.sema.plans.steps.Plan`.

Every expression gets a type, every step too, and calls, tests and results are checked with them.
What the whole program has to say of plans (effects, trust, recursion) is in `deriving`.
"""

from engine.sema.declarations.plans.deriving import derive
from engine.sema.declarations.plans.reading import PlanReader, ReadPlan

__all__ = ["PlanReader", "ReadPlan", "derive"]
