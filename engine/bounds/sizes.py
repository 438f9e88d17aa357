"""What values may take at most in a run, as the file sets it: no sums, only the bounds themselves.

Worst cases are in `engine.bounds.loop`; a size needs no computing, for each bound stops what it
is about. What happens then is described in docs/reference/bounds.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.bounds.text import table
from engine.sema.model import Orchestrator, Program, Verifier, Worker, reached
from engine.sizes import size_words

__all__ = ["Sizes", "sizes_as_data", "sizes_as_text", "sizes_of"]

_HEADS = ("sizes, at most", "an input", "a decision", "the result", "all answers")


class Sizes(msgspec.Struct, frozen=True):
    """The bounds on sizes that hold for one orchestrator, in bytes.

    Attributes:
        orchestrator: Its name.
        max_input_bytes: Of an input of its tasks, and of its own at the start of a run.
        max_decision_bytes: Of one of its decisions.
        max_bytes: Of its result.
        max_kept_bytes: Of all that comes back while it runs.
        answers: Of one answer, by worker, orchestrator or verifier that it calls.
        prompts: Of one prompt, by the model it is sent to: its own and theirs.
    """

    orchestrator: str
    max_input_bytes: int
    max_decision_bytes: int
    max_bytes: int
    max_kept_bytes: int
    answers: Mapping[str, int]
    prompts: Mapping[str, int]


def sizes_of(program: Program) -> list[Sizes]:
    """The bounds on sizes of every orchestrator of a program."""
    return [_sizes(program, loop) for loop in program.orchestrators.values()]


def _sizes(program: Program, loop: Orchestrator) -> Sizes:
    workers = [
        program.workers[name]
        for name in reached(program.workers, loop.workers)
        if name in program.workers
    ]
    below = [program.orchestrators[n] for n in loop.workers if n in program.orchestrators]
    verifiers = [program.verifiers[name] for hook in loop.hooks for name in hook.every_verifier]
    asked = [it for it in verifiers if it.kind not in ("rules", "human")]
    by_setting: list[Worker | Verifier] = [*workers, *asked]
    models = [loop.model, *(str(it.settings.get("model")) for it in by_setting)]
    policy = loop.policy
    return Sizes(
        orchestrator=loop.name,
        max_input_bytes=policy.max_input_bytes,
        max_decision_bytes=policy.max_decision_bytes,
        max_bytes=loop.max_bytes,
        max_kept_bytes=policy.max_kept_bytes,
        answers={
            **{it.name: it.max_bytes for it in by_setting},
            **{it.name: it.max_bytes for it in below},
        },
        prompts={m: program.models[m].max_prompt_bytes for m in models if m in program.models},
    )


def sizes_as_text(found: Sequence[Sizes]) -> str:
    """A table with a line an orchestrator, then the bounds of what they call."""
    lines = table([_HEADS, *(_row(sizes) for sizes in found)])
    answers = {name: size for sizes in found for name, size in sizes.answers.items()}
    prompts = {name: size for sizes in found for name, size in sizes.prompts.items()}
    return "\n".join([*lines, *_each("per answer", answers), *_each("per prompt", prompts)])


def _each(what: str, bounds: Mapping[str, int]) -> list[str]:
    """A line for each size, with the names that have it."""
    by_size: dict[int, list[str]] = {}
    for name, size in bounds.items():
        by_size.setdefault(size, []).append(name)
    return [f"  {size_words(size)} {what} of {', '.join(n)}" for size, n in by_size.items()]


def _row(sizes: Sizes) -> tuple[str, ...]:
    own = (sizes.max_input_bytes, sizes.max_decision_bytes, sizes.max_bytes, sizes.max_kept_bytes)
    return (sizes.orchestrator, *map(size_words, own))


def sizes_as_data(sizes: Sizes) -> dict[str, Any]:
    """The bounds as JSON. Fields are only ever added."""
    data: dict[str, Any] = msgspec.to_builtins(sizes)
    del data["orchestrator"]
    return data
