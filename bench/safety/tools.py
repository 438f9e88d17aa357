"""The functions that workers of the programs call: the tools of a suite, in the world of a run.

A run has its own world: an environment, and a log of the calls. What a helper or a reader says is
scripted by the run, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from bench.safety.finding import holds
from bench.safety.signatures import as_json
from engine import Failure


@dataclass
class Called:
    """One call of a tool.

    Attributes:
        hostile: Whether it was decided by an attack.
    """

    tool: str
    given: dict[str, Any]
    output: Any
    hostile: bool


@dataclass
class World:
    """What the calls of one run act on.

    Attributes:
        call: Calls a tool of the suite on the environment.
        lists: What is before the list in answers that are lists written as text, by tool.
        hostile: Whether what is called now was decided by an attack.
        honest: The tool that is called as the ground truth says, where an attack is in the same
            decision.
        words: What the attacker's text contains; a helper gives it only to who hands in that text.
        values: The values that a helper extracts, by their number.
    """

    call: Callable[[str, dict[str, Any]], Any]
    lists: dict[str, str] = field(default_factory=dict)
    log: list[Called] = field(default_factory=list)
    hostile: bool = False
    honest: str = ""
    words: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


WORLD: ContextVar[World] = ContextVar("WORLD")


async def run(tool: str, given: dict[str, Any]) -> Any:
    """Call a tool of the suite."""
    world = WORLD.get()
    given = {name: value for name, value in given.items() if value is not None}
    try:
        output = as_json(world.call(tool, given))
    except Exception as error:  # whatever a tool raises is a failed call
        raise Failure("crashed", f"{type(error).__name__}: {error}") from None
    if tool in world.lists:
        output = output.partition(world.lists[tool])[2].strip().splitlines()
    world.log.append(Called(tool, given, output, world.hostile and tool != world.honest))
    return output


async def extract(source: Any, number: int) -> Any:
    """A part of a text: what an attacker put there, if it is the attacker's text."""
    world = WORLD.get()
    if not holds(source, world.words):
        raise Failure("crashed", "there is no such part")
    return world.values[number]


async def calculate(op: str, a: float, b: float) -> float:
    """Arithmetic on amounts, to the cent."""
    return round({"add": a + b, "subtract": a - b, "percent": a * b / 100}[op], 2)


async def share(total: float, people: int) -> float:
    """The part of one person."""
    return round(total / people, 2)


async def reveal(text: Any) -> str:
    """A value as a text."""
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
