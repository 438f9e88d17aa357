"""What a place in a plan sees: inputs, earlier steps, and the names of an item or a pass.

`PlanNames` is a value: a step, an item and a condition each see more than the place around them,
and get names of their own. Nothing here reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from engine.sema.plans.counts import Count
from engine.sema.plans.values import FromInput, FromStep, Leaf, View
from engine.sema.types.definitions import (
    INT,
    STRING,
    Array,
    Field,
    Optional,
    Record,
    StepOutputs,
    Type,
)
from engine.source import Span

__all__ = ["ITEM_NAMES", "VIEWS", "Known", "PlanNames", "StepInfo", "escaped", "outputs_of"]

#: The names that an expression of a step may see besides inputs, steps and `param`.
ITEM_NAMES = ("item", "index", "parts", "last")
#: The views of an `each` that are written after a dot.
VIEWS: Mapping[str, View] = {"pairs": "pairs", "failures": "failures"}


@dataclass(eq=False)
class StepInfo:
    """A step, as later places see it.

    Attributes:
        span: Where its name is written.
        type: The type of what it gives; null is in it if it may be skipped.
        depth: How many whole numbers the number of each of its values has; 0 for one value.
        most: How many values it gives, at most.
        tasks: How many tasks it becomes, at most.
        least: How many tasks it becomes at the very least.
        uses: How often it is read.
        workers: The canonical names of the workers that it calls.
    """

    name: str
    span: Span
    type: Type
    depth: int = 0
    most: Count = None
    tasks: Count = None
    least: int = 0
    uses: int = 0
    workers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """A name that only some places see: its type, and what it is when the plan runs."""

    type: Type
    leaf: Leaf


@dataclass(frozen=True)
class PlanNames:
    """The names of one place.

    Attributes:
        steps: The steps that may be read: those before it, here and around it.
        extra: `item`, `index`, `parts`, `last`, where they exist.
        later: Steps that may not be read yet, with the place of their names.
        inside: Steps of a `repeat` that are not seen outside it, with its name.
        facts: The paths that are known not to be null.
    """

    inputs: Mapping[str, Field]
    steps: Mapping[str, StepInfo] = field(default_factory=dict)
    extra: Mapping[str, Known] = field(default_factory=dict)
    later: Mapping[str, Span] = field(default_factory=dict)
    inside: Mapping[str, str] = field(default_factory=dict)
    facts: frozenset[str] = frozenset()

    def types(self) -> dict[str, Type]:
        """The type of each name."""
        return {
            **{name: field.type for name, field in self.inputs.items()},
            **{name: step.type for name, step in self.steps.items()},
            **{name: known.type for name, known in self.extra.items()},
        }

    def leaf(self, name: str) -> Leaf | None:
        """What a name is when the plan runs; None if it is not one of a plan."""
        if name in self.extra:
            return self.extra[name].leaf
        if name in self.steps:
            return FromStep(name)
        return FromInput(f"/{escaped(name)}") if name in self.inputs else None

    def has(self, name: str) -> bool:
        """Whether it is a name of the plan."""
        return name in self.extra or name in self.steps or name in self.inputs

    def seeing(self, **extra: Known) -> PlanNames:
        """The same with further names; what was known of others of that name is forgotten."""
        facts = frozenset(f for f in self.facts if f.partition(".")[0] not in extra)
        return replace(self, extra={**self.extra, **extra}, facts=facts)

    def knowing(self, facts: Iterable[str]) -> PlanNames:
        """The same where more is known not to be null."""
        return replace(self, facts=self.facts | frozenset(facts))


def escaped(name: str) -> str:
    """A key as a token of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def outputs_of(output: Type, item: Type, depth: int, optional: bool) -> Type:
    """The type of an `each`: its outputs, with its pairs and failures as attributes."""
    index = Field("index", INT if depth == 1 else STRING)
    pairs = Record(None, (index, Field("item", item), Field("output", output)))
    texts = (Field("mode", STRING), Field("message", STRING))
    failures = Record(None, (index, Field("item", item), *texts))
    made = StepOutputs(output, Array(pairs), Array(failures))
    return Optional(made) if optional else made
